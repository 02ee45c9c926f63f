from __future__ import annotations

import numpy as np

import small_data
from convscope.data.dataset import ArrayDataset, Subset
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.inference import predict_split as module
from convscope.inference.predict_split import predict_split


class Mean:
    classes = ("dark", "light")

    def predict(self, images):
        light = images.mean(axis=(1, 2, 3), dtype=np.float32)
        return np.stack([-light, light], axis=1)


def part(count):
    whole = ArrayDataset(*small_data.pictures(max(count, 1)), small_data.CLASSES)
    return prepare_split(Subset(whole, np.arange(count)[::-1].copy()), Preprocess(1, 12, 12))


def test_logits_in_order_and_progress(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 4)
    told, source = [], part(10)
    logits = predict_split(Mean(), source, progress=lambda *step: told.append(step))
    np.testing.assert_array_equal(logits, Mean().predict(source.take(np.arange(10))))
    assert told == [("predict", 4, 10), ("predict", 8, 10), ("predict", 10, 10)]


def test_nothing_to_answer():
    assert predict_split(Mean(), part(0)).shape == (0, 2)
