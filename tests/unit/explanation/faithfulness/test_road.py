"""ROAD: the imputation is the solution of its equations, and the score tells a right map from a wrong one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.explanation.faithfulness.insertion_deletion import PerturbationSet, pixel_order
from convscope.explanation.faithfulness.road import NEIGHBOURS, imputed, road
from deciding_patch import PatchAnswers, patch_images, patch_map
from rounding import same_but_for_rounding


def masks(draw_seed: int, h: int, w: int) -> np.ndarray:
    return np.random.default_rng(draw_seed).random((h, w)) < 0.6


@given(st.integers(0, 500), st.integers(2, 9), st.integers(2, 9), st.sampled_from([1, 3]))
def test_each_missing_pixel_is_the_mean_of_its_neighbours(seed, h, w, c):
    gone = masks(seed, h, w)
    gone[0, 0] = False
    image = np.random.default_rng(seed).uniform(0, 255, (h, w, c))
    filled = imputed(image, gone)
    np.testing.assert_array_equal(filled[~gone], image[~gone])
    for y, x in zip(*np.nonzero(gone), strict=True):
        near = [
            (weight, filled[y + dy, x + dx])
            for dy, dx, weight in NEIGHBOURS
            if 0 <= y + dy < h and 0 <= x + dx < w
        ]
        mean = sum(weight * value for weight, value in near) / sum(weight for weight, _ in near)
        np.testing.assert_allclose(filled[y, x], mean, rtol=1e-9, atol=1e-9)


def test_a_ramp_is_filled_in_exactly_where_it_has_neighbours_all_round():
    ramp = np.mgrid[:9, :9].sum(axis=0)[..., None].astype(float)
    gone = np.zeros((9, 9), bool)
    gone[2:7, 2:7] = True
    np.testing.assert_allclose(imputed(ramp, gone), ramp, atol=1e-9)


@pytest.mark.parametrize("gone", [np.zeros((3, 3), bool), np.ones((3, 3), bool)])
def test_nothing_missing_and_everything_missing_change_nothing(gone):
    image = np.arange(9.0).reshape(3, 3, 1)
    np.testing.assert_array_equal(imputed(image, gone), image)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_right_map_beats_chance_and_a_wrong_one_loses(channels):
    images = patch_images(4, channels=channels)
    perturbations = PerturbationSet(PatchAnswers(), images, np.ones(4, np.int64))
    right, wrong = (road(perturbations, pixel_order(maps)) for maps in (patch_map(4), -patch_map(4)))
    # Without the least relevant 40 % the patch is whole either way, so the best possible is below 0.5.
    assert (right > 0.3).all() and (wrong < -0.3).all()
    np.testing.assert_allclose(right, -wrong, atol=0.1)


def test_an_image_has_the_same_figure_alone_and_among_others():
    images = patch_images(3)
    order = pixel_order(patch_map(3) + np.random.default_rng(0).random((3, 16, 16)) / 9)
    together = road(PerturbationSet(PatchAnswers(), images, np.ones(3, np.int64)), order)
    alone = [
        road(PerturbationSet(PatchAnswers(), images[n : n + 1], np.ones(1, np.int64)), order[n : n + 1])
        for n in (0, 1, 2)
    ]
    assert same_but_for_rounding(together, np.concatenate(alone))
