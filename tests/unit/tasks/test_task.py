from __future__ import annotations

import numpy as np
import pytest

import small_data
from convscope.data.dataset import ArrayDataset, Subset
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.tasks import task as module
from convscope.tasks.task import Score, fold, task_named


class Mean:
    classes = ("dark", "light")

    def predict(self, images):
        light = images.mean(axis=(1, 2, 3), dtype=np.float32)
        return np.stack([-light, light], axis=1)


class Kept:
    def __init__(self):
        self.rows = []

    def add(self, logits, targets):
        self.rows.append((logits, targets))


def split(count):
    whole = ArrayDataset(*small_data.pictures(max(count, 1)), small_data.CLASSES)
    return prepare_split(Subset(whole, np.arange(count)[::-1].copy()), Preprocess(1, 12, 12))


def test_batches_come_in_order_with_their_targets_and_progress(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 4)
    told, images, evaluation = [], split(10), Kept()
    assert fold(evaluation, Mean(), images, what="test", progress=lambda *at: told.append(at)) is evaluation
    logits, targets = (np.concatenate(parts) for parts in zip(*evaluation.rows, strict=True))
    np.testing.assert_array_equal(logits, Mean().predict(images.take(np.arange(10))))
    np.testing.assert_array_equal(targets, images.targets)
    assert told == [("test", 4, 10), ("test", 8, 10), ("test", 10, 10)]


def test_nothing_is_no_batch():
    assert fold(Kept(), Mean(), split(0)).rows == []


@pytest.mark.parametrize("higher", [True, False])
def test_nan_beats_nothing_and_everything_else_beats_none(higher):
    score = Score("x", higher_is_better=higher)
    assert score.better(0.0, None) and not score.better(float("nan"), None)
    assert not score.better(float("nan"), 0.5) and not score.better(0.5, 0.5)
    assert score.better(0.6, 0.5) == higher and score.better(0.4, 0.5) != higher


def test_a_built_in_task_is_found_lazily_and_is_always_the_same():
    assert task_named("classification") is task_named("classification")
