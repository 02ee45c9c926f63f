"""RISE beside the same thing in plain loops, and what its masks are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.seeds import generator
from convscope.explanation.attribution import rise as module
from convscope.explanation.attribution.rise import GRID, SHOWN, random_masks, rise, under


class Bright:
    """Three logits from weighted pixels."""

    classes = ("ant", "bee", "cow")

    def __init__(self, shape):
        self.weights = np.random.default_rng(3).normal(0, 0.2, (int(np.prod(shape)), 3))
        self.largest = 0

    def predict(self, images):
        self.largest = max(self.largest, len(images))
        return (images.reshape(len(images), -1) / 255.0 @ self.weights).astype(np.float32)


def masks_by_loops(height, width, count, *, seed):
    """A mask at a time, enlarged by torch's own interpolation; the same numbers are drawn in the same
    order."""
    rng = generator(seed, "rise")
    grids, downs, rights = rng.random((count, GRID, GRID)) < SHOWN, rng.random(count), rng.random(count)
    tall, wide = -(-height // GRID), -(-width // GRID)
    for grid, down, right in zip(grids, downs, rights, strict=True):
        size = ((GRID + 1) * tall, (GRID + 1) * wide)
        small = torch.from_numpy(grid).float()[None, None]
        large = torch.nn.functional.interpolate(small, size, mode="bilinear", align_corners=False)[
            0, 0
        ].numpy()
        top, left = int(down * tall), int(right * wide)
        yield large[top : top + height, left : left + width]


def by_loops(predictor, images, targets, *, fill, masks, seed):
    maps = []
    for image, target in zip(images, targets, strict=True):
        total, shown = np.zeros(image.shape[:2]), np.zeros(image.shape[:2])
        for mask in masks_by_loops(*image.shape[:2], masks, seed=seed):
            kept = mask[:, :, None] * image + (1 - mask[:, :, None]) * np.float32(fill)
            logits = predictor.predict(np.rint(kept).astype(np.uint8)[None])[0].astype(float)
            total += np.exp(logits[target]) / np.exp(logits).sum() * mask
            shown += mask
        maps.append(total / shown)
    return np.array(maps)


@pytest.mark.parametrize("shape", [(14, 14, 1), (11, 17, 3), (5, 30, 1)])
def test_it_is_what_loops_find(shape):
    rng = np.random.default_rng(0)
    images, targets = rng.integers(0, 256, (3, *shape), np.uint8), np.array([2, 0, 1])
    options = {"fill": [30, 140, 250][: shape[2]], "masks": 40, "seed": 5}
    found = rise(Bright(shape), images, targets, **options)
    # Masks that differ by 1e-7 let a pixel round to the next level now and then.
    assert found == pytest.approx(by_loops(Bright(shape), images, targets, **options), abs=2e-4)
    assert found.std(axis=(1, 2)).max() > 1e-2
    assert np.abs(found - rise(Bright(shape), images, targets, **options | {"seed": 6})).max() > 1e-2


@settings(max_examples=20)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 9), at_once=st.integers(1, 9))
def test_masks_are_those_of_loops_however_many_are_made_at_once(height, width, seed, at_once):
    batches = list(random_masks(height, width, 8, seed=seed, at_once=at_once))
    assert all(len(batch) <= at_once for batch in batches)
    found = np.concatenate(batches)
    assert found.shape == (8, height, width) and found.dtype == np.float32
    assert found == pytest.approx(np.stack(list(masks_by_loops(height, width, 8, seed=seed))), abs=1e-5)
    assert found.min() >= 0 and found.max() <= 1 + 1e-6


def test_half_of_the_image_is_shown_on_average_everywhere():
    masks = np.concatenate(list(random_masks(28, 28, 3000, seed=0, at_once=500)))
    assert np.abs(masks.mean(axis=0) - SHOWN).max() < 0.06
    assert len({mask.tobytes() for mask in masks}) == 3000


def test_memory_is_bounded_and_lots_change_nothing(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (5, 10, 10, 1), np.uint8)
    predictor, targets = Bright((10, 10, 1)), np.array([0, 1, 2, 0, 1])
    whole = rise(predictor, images, targets, fill=[99], masks=30)
    monkeypatch.setattr(module, "max_batch_size", lambda *_: 8)
    predictor.largest = 0
    assert rise(predictor, images, targets, fill=[99], masks=30) == pytest.approx(whole, abs=1e-5)
    assert predictor.largest == 8
    alone = rise(predictor, images[3:4], targets[3:4], fill=[99], masks=30)
    assert alone[0] == pytest.approx(whole[3], abs=1e-5)


def test_images_under_masks_lie_between_the_image_and_the_colour():
    images = np.array([[[[200, 0, 7]]], [[[100, 50, 255]]]], np.uint8)
    masks = np.array([[[0.0]], [[1.0]], [[0.5]]], np.float32)
    found = under(images, masks, fill=[10, 20, 30]).reshape(2, 3, 3)
    assert found[0].tolist() == [[10, 20, 30], [200, 0, 7], [105, 10, 18]]
    assert found[1].tolist() == [[10, 20, 30], [100, 50, 255], [55, 35, 142]]


def test_a_pixel_that_no_mask_shows_counts_nothing():
    found = rise(
        Bright((14, 14, 1)), np.full((1, 14, 14, 1), 200, np.uint8), np.array([0]), fill=[0], masks=1
    )
    hidden = next(random_masks(14, 14, 1, seed=0, at_once=1))[0] == 0
    assert hidden.any() and not found[0][hidden].any() and np.isfinite(found).all()
