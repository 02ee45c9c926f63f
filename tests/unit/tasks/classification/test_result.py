from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import photographs
import small_data
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.tasks.classification.task import ClassificationResult


def tiny_part(count: int) -> PreparedSplit:
    return prepare_split(
        ArrayDataset(*small_data.pictures(count), small_data.CLASSES, "test"), Preprocess(1, 12, 12)
    )


def logits_of(part: PreparedSplit, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(len(part), 3))
    return (2 * noise + 3 * np.eye(3)[part.targets]).astype(np.float32)


def test_all_figures_agree_with_each_other():
    part = tiny_part(120)
    logits = logits_of(part)
    found = ClassificationResult.of(
        part, logits, classes=small_data.CLASSES, decision=Decision(1.4, "probability", 0.5)
    )
    top1 = found.metrics.top1
    assert top1 == pytest.approx(found.calibration.accuracy) and found.intervals["top1"].low <= top1
    kept = Decision(1.4).probabilities(logits).max(axis=1) >= 0.5
    right = logits.argmax(axis=1) == part.targets
    assert found.selective.coverage == kept.mean() and found.selective.risk == pytest.approx(
        (~right[kept]).mean()
    )
    assert found.calibration.ece != found.uncalibrated.ece
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(found.metrics.to_dict()) < set(plain) and plain["top1"] == top1
    assert plain["per_class"][1]["roc_auc"] == found.curves[1].auc and plain["per_class"][1]["name"] == "bee"
    assert plain["calibration"]["ece_without_temperature"] == found.uncalibrated.ece
    assert plain["intervals"]["top1"] == list(found.intervals["top1"])


def test_a_failing_slice_of_real_pixels_is_found():
    images, labels = small_data.pictures(600)
    dark = np.arange(600) % 5 < 2
    images[dark] //= 2
    part = prepare_split(ArrayDataset(images, labels, small_data.CLASSES), Preprocess(1, 12, 12))
    logits = (
        6 * np.eye(3, dtype=np.float32)[np.where(dark & (np.arange(600) % 3 > 0), (labels + 1) % 3, labels)]
    )
    found = ClassificationResult.of(part, logits, classes=small_data.CLASSES, decision=Decision())
    assert found.slices[0].name.startswith("the darkest third of") and found.slices[0].gap > 0.4


def test_colour_photographs_and_a_single_image():
    part = photographs.part(12)
    assert (
        ClassificationResult.of(
            part, logits_of(part), classes=photographs.CLASSES, decision=Decision()
        ).slices
        == ()
    )
    part = tiny_part(1)
    one = ClassificationResult.of(part, logits_of(part), classes=small_data.CLASSES, decision=Decision())
    assert json.dumps(one.to_dict(), allow_nan=False) and one.metrics.images == 1


def test_no_image_is_one_line():
    with pytest.raises(UserError, match="there are no images to evaluate"):
        nothing = replace(tiny_part(3), rows=np.empty(0, np.int64))
        ClassificationResult.of(
            nothing, np.empty((0, 3), np.float32), classes=small_data.CLASSES, decision=Decision()
        )
