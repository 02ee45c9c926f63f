from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.losses.cross_entropy import class_labels, cross_entropy, cross_entropy_backward
from convscope.reference.losses.focal_loss import focal_loss, focal_loss_backward

RNG = np.random.default_rng(0)
LOGITS, LABELS = 2 * RNG.standard_normal((20, 5)), RNG.integers(0, 5, 20)
LOSSES = {
    "cross_entropy": (cross_entropy, cross_entropy_backward),
    "focal_loss": (focal_loss, focal_loss_backward),
}


@pytest.mark.parametrize("classes", [1, 2, 10, 1000])
def test_equal_logits_cost_the_logarithm_of_the_classes(classes):
    assert cross_entropy(np.zeros((3, classes)), [0, 0, 0]) == pytest.approx(math.log(classes))


@given(st.floats(0, 1))
def test_smoothing_mixes_the_label_with_all_classes(smoothing):
    everything = np.mean([cross_entropy(LOGITS, np.full(20, k)) for k in range(5)])
    expected = (1 - smoothing) * cross_entropy(LOGITS, LABELS) + smoothing * everything
    assert cross_entropy(LOGITS, LABELS, smoothing=smoothing) == pytest.approx(expected)


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_counts_an_image_as_that_many(name):
    loss, backward = LOSSES[name]
    doubled = np.concatenate([np.arange(20), np.flatnonzero(LABELS == 3)])
    weights = np.where(np.arange(5) == 3, 2.0, 1.0)
    assert loss(LOGITS, LABELS, weights=weights) == pytest.approx(loss(LOGITS[doubled], LABELS[doubled]))
    gradient = backward(1.0, LOGITS[doubled], LABELS[doubled])
    np.add.at(gradient, doubled[20:], gradient[20:])
    np.testing.assert_allclose(backward(1.0, LOGITS, LABELS, weights=weights), gradient[:20], atol=1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_sum_to_0_over_the_classes(name):
    # A shift of all logits changes nothing.
    np.testing.assert_allclose(LOSSES[name][1](1.0, LOGITS, LABELS).sum(axis=1), 0, atol=1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_a_step_against_the_gradient_helps(name):
    loss, backward = LOSSES[name]
    assert loss(LOGITS - backward(1.0, LOGITS, LABELS), LABELS) < loss(LOGITS, LABELS)


@given(gamma=st.floats(0, 5))
def test_focal_loss_turns_away_from_what_is_easy(gamma):
    for p in (0.1, 0.5, 0.9, 0.999):
        logits = [[math.log(p), math.log(1 - p)]]
        assert focal_loss(logits, [0], gamma=gamma) == pytest.approx(
            (1 - p) ** gamma * cross_entropy(logits, [0])
        )


def test_precision_and_integers():
    assert cross_entropy_backward(1.0, LOGITS.astype(np.float32), LABELS).dtype == np.float32
    assert focal_loss_backward(1.0, LOGITS.astype(np.float32), LABELS).dtype == np.float32
    assert cross_entropy([[1, 0]], [0]) == cross_entropy([[1.0, 0.0]], [0])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(
    ("labels", "weights", "error", "message"),
    [
        ([0, 1], None, ShapeError, r"labels has shape \(2,\) and needs \(20,\)"),
        (LABELS + 1, None, ValueError, r"label 5 of image \d+ is none of 5 classes; .* from 0 to 4"),
        (LABELS - 1, None, ValueError, r"label -1 of image"),
        (LABELS / 1, None, ValueError, r"whole numbers from 0 to 4, one an image; given: float64"),
        (LABELS, np.ones(4), ShapeError, r"weights has shape \(4,\) and needs \(5,\)"),
        (LABELS, -np.ones(5), ValueError, "finite and at least 0"),
        (LABELS, np.full(5, np.nan), ValueError, "finite and at least 0"),
        (LABELS, np.zeros(5), ValueError, r"divides by their weights, which sum to 0\.0"),
    ],
)
def test_labels_and_weights_that_do_not_fit(name, labels, weights, error, message):
    loss, backward = LOSSES[name]
    for call in (
        lambda: loss(LOGITS, labels, weights=weights),
        lambda: backward(1.0, LOGITS, labels, weights=weights),
    ):
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("name", LOSSES)
def test_logits_that_are_none(name):
    for logits in (np.zeros(5), np.zeros((0, 5)), np.zeros((2, 3, 4))):
        with pytest.raises(ShapeError, match="logits are N×K"):
            LOSSES[name][0](logits, [])


def test_numbers_out_of_range():
    with pytest.raises(ValueError, match=r"smoothing is 1\.5"):
        cross_entropy(LOGITS, LABELS, smoothing=1.5)
    for gamma in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="gamma is"):
            focal_loss(LOGITS, LABELS, gamma=gamma)


def test_labels_of_any_whole_type():
    for dtype in (np.uint8, np.int16, np.int64):
        assert class_labels(np.array([0, 2], dtype), 2, 3).dtype == np.int64
    assert class_labels([], 0, 3).shape == (0,)
    with pytest.raises(ValueError, match="given: bool"):
        class_labels([True, False], 2, 2)
