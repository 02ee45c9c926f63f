"""Deletion and insertion: orders, curves, areas, and what does not depend on how many images there are."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from convscope.core.decision import Decision
from convscope.explanation.faithfulness import insertion_deletion
from convscope.explanation.faithfulness.insertion_deletion import (
    Curves,
    PerturbationSet,
    blurred,
    deletion,
    in_batches,
    insertion,
    pixel_order,
    random_order,
)
from deciding_patch import PatchAnswers, patch_images
from rounding import same_but_for_rounding


@given(arrays(np.float64, (2, 3, 5), elements=st.sampled_from([0.0, 0.5, 1.0, -2.0])), st.integers(0, 3))
def test_places_are_a_permutation_from_high_to_low(maps, seed):
    turn = pixel_order(maps, seed=seed)
    for one, when in zip(maps.reshape(2, -1), turn.reshape(2, -1), strict=True):
        assert sorted(when) == list(range(15))
        assert (np.diff(one[np.argsort(when)]) <= 0).all()


def test_ties_are_drawn_and_not_read_from_top_to_bottom():
    flat = np.zeros((1, 20, 20))
    turn = pixel_order(flat)
    assert abs(turn[0, :10].mean() - turn[0, 10:].mean()) < 40
    assert (turn == pixel_order(flat)).all() and (turn != pixel_order(flat, seed=1)).any()


def test_a_random_order_removes_whole_squares():
    images = np.arange(2 * 784, dtype=np.uint16).astype(np.uint8).reshape(2, 28, 28, 1)
    images[1] ^= 3
    turn = random_order(images)
    assert sorted(turn[0].ravel()) == list(range(784))
    first = turn[0] < 16
    rows, columns = np.nonzero(first)
    assert np.ptp(rows) == np.ptp(columns) == 3 and (turn[0] != turn[1]).any()
    np.testing.assert_array_equal(random_order(images[1:]), turn[1:])
    assert (random_order(images, seed=1) != turn).any()
    assert random_order(np.zeros((1, 3, 2, 3), np.uint8)).shape == (1, 3, 2)


def test_the_curves_begin_and_end_where_they_should():
    images = patch_images(3)
    perturbations = PerturbationSet(PatchAnswers(), images, np.ones(3, np.int64))
    order = random_order(images)
    gone, back = deletion(perturbations, order, steps=5), insertion(perturbations, order, steps=5)
    whole = perturbations.probability(images[None])[:, 0]
    assert gone.fraction.tolist() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert gone.probability.shape == back.probability.shape == (3, 6)
    np.testing.assert_allclose(gone.probability[:, 0], whole)
    np.testing.assert_allclose(back.probability[:, -1], whole)
    np.testing.assert_allclose(back.probability[:, 0], perturbations.probability(blurred(images)[None])[:, 0])
    mean = np.broadcast_to(images.mean(axis=(1, 2), keepdims=True).round(), images.shape).astype(np.uint8)
    np.testing.assert_allclose(gone.probability[:, -1], perturbations.probability(mean[None])[:, 0])


@given(arrays(np.float64, (2, 6), elements=st.floats(0, 1)))
def test_the_area_is_that_of_the_trapezoids(probability):
    slow = [sum((a + b) / 2 for a, b in pairwise(row)) / 5 for row in probability.tolist()]
    np.testing.assert_allclose(Curves(probability).area, slow, atol=1e-12)


def test_lots_change_nothing_and_few_calls_are_made(monkeypatch):
    images = patch_images(7)
    predictor = PatchAnswers()
    perturbations = PerturbationSet(predictor, images, np.ones(7, np.int64))
    order = random_order(images)
    together = deletion(perturbations, order).probability
    assert predictor.calls == 1
    monkeypatch.setattr(insertion_deletion, "MOST_BYTES", 2 * 21 * images[0].size)
    assert same_but_for_rounding(deletion(perturbations, order).probability, together)
    assert predictor.calls == 1 + 4


def test_the_temperature_counts():
    images = patch_images(1)
    sure, unsure = (
        PerturbationSet(PatchAnswers(), images, np.ones(1, np.int64), Decision(temperature=t)).probability(
            images[None]
        )
        for t in (1.0, 50.0)
    )
    assert sure[0, 0] > 0.99 and 0.5 < unsure[0, 0] < sure[0, 0]


def test_no_image_has_no_curve():
    images = patch_images(0)
    found = deletion(
        PerturbationSet(PatchAnswers(), images, np.zeros(0, np.int64)), np.zeros((0, 16, 16), np.int64)
    )
    assert found.probability.shape == (0, 21) and found.area.shape == (0,)
    assert in_batches(0, 10) == [] and in_batches(2, 10**12) == [slice(0, 1), slice(1, 2)]


def test_a_blur_hides_what_is_small():
    checks = (255 * (np.indices((32, 32)).sum(axis=0) % 2)).astype(np.uint8)[None, ..., None]
    assert np.ptp(blurred(checks)) < 10 and blurred(checks).dtype == np.uint8
