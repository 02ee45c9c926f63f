from __future__ import annotations

import numpy as np

import tiny
from convscope.data.dataset import ArrayDataset, Subset
from convscope.data.part import prepare_part
from convscope.data.preprocess import Preprocess
from convscope.evaluation import predict as module
from convscope.evaluation.predict import predict_part


class Mean:
    classes = ("dark", "light")

    def predict(self, images):
        light = images.mean(axis=(1, 2, 3), dtype=np.float32)
        return np.stack([-light, light], axis=1)


def part(count):
    whole = ArrayDataset(*tiny.pictures(max(count, 1)), tiny.CLASSES)
    return prepare_part(Subset(whole, np.arange(count)[::-1].copy()), Preprocess(1, 12, 12))


def test_logits_in_order_and_progress(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 4)
    told, source = [], part(10)
    logits = predict_part(Mean(), source, progress=lambda done, total: told.append((done, total)))
    np.testing.assert_array_equal(logits, Mean().predict(source.take(np.arange(10))))
    assert told == [(4, 10), (8, 10), (10, 10)]


def test_nothing_to_answer():
    assert predict_part(Mean(), part(0)).shape == (0, 2)
