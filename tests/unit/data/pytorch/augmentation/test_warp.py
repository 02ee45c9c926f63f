from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.data.pytorch.augmentation import warp
from convscope.data.pytorch.augmentation.warp import (
    crop_to_full,
    nearest,
    random_rotation,
    resized_crop,
    rotate,
    rotations,
    shears,
    shifts,
)

sides = st.integers(1, 12)


def images(n: int, c: int, h: int, w: int) -> torch.Tensor:
    values = np.random.default_rng(0).integers(1, 256, (n, h, w, c), dtype=np.uint8)
    return torch.from_numpy(values).permute(0, 3, 1, 2)


@given(h=sides, w=sides, c=st.sampled_from([1, 3]))
@settings(max_examples=30, deadline=None)
def test_maps_that_do_nothing_do_nothing(h, w, c):
    x, zero = images(2, c, h, w), torch.zeros(2)
    for maps in (rotations(zero), shifts(zero, across=True), shears(zero, h, w, across=False)):
        assert torch.equal(nearest(x, maps), x)
    assert torch.equal(rotate(x, zero), x)


@given(h=sides, w=sides, pixels=st.integers(-14, 14), across=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_shift_moves_whole_pixels_and_leaves_black(h, w, pixels, across):
    x = images(1, 1, h, w)
    size = w if across else h
    expected = torch.zeros_like(x)
    if abs(pixels) < size:
        source = x.narrow(3 if across else 2, max(0, -pixels), size - abs(pixels))
        expected.narrow(3 if across else 2, max(0, pixels), size - abs(pixels)).copy_(source)
    assert torch.equal(nearest(x, shifts(torch.tensor([float(pixels)]), across=across)), expected)


@given(size=sides, quarters=st.integers(-4, 4))
@settings(max_examples=30, deadline=None)
def test_quarter_turns_of_a_square_are_exact(size, quarters):
    x = images(2, 3, size, size)
    expected = x.rot90(quarters, (2, 3))
    assert torch.equal(nearest(x, rotations(torch.full((2,), 90.0 * quarters))), expected)
    assert (rotate(x, torch.full((2,), 90.0 * quarters)).int() - expected.int()).abs().max() <= 1


def test_each_image_turns_by_its_own_angle():
    x = images(1, 3, 9, 9).expand(4, 3, 9, 9)
    degrees = torch.tensor([0.0, 10.0, 50.0, -20.0])
    out = rotate(x, degrees)
    for i in range(4):
        assert torch.equal(out[i : i + 1], rotate(x[i : i + 1], degrees[i : i + 1]))


def test_a_shear_keeps_the_first_row_or_column():
    x = images(2, 1, 12, 12)
    slope = torch.tensor([0.3, -0.3])
    assert torch.equal(nearest(x, shears(slope, 12, 12, across=True))[:, :, 0], x[:, :, 0])
    assert torch.equal(nearest(x, shears(slope, 12, 12, across=False))[..., 0], x[..., 0])


def test_angles_are_uniform_between_their_ends():
    # The angle of a turned half-white image is read off its centre of brightness.
    x = torch.zeros(1000, 1, 33, 33, dtype=torch.uint8)
    x[:, :, 16, 16:] = 255
    out = random_rotation(x, torch.Generator().manual_seed(0), degrees=40).double()[:, 0]
    y = (out.sum(2) * (torch.arange(33) - 16.0)).sum(1)
    across = (out.sum(1) * (torch.arange(33) - 16.0)).sum(1)
    degrees = torch.rad2deg(torch.atan2(-y, across))
    assert 38 < float(degrees.max()) < 41
    assert -41 < float(degrees.min()) < -38
    assert abs(float(degrees.mean())) < 4, "five standard deviations"


@given(h=sides, w=sides, c=st.sampled_from([1, 3]), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_crop_shows_only_its_rectangle(h, w, c, seed):
    rng = np.random.default_rng(seed)
    height, width = int(rng.integers(1, h + 1)), int(rng.integers(1, w + 1))
    top, left = int(rng.integers(0, h - height + 1)), int(rng.integers(0, w - width + 1))
    x = torch.full((1, c, h, w), 255, dtype=torch.uint8)
    inside = images(1, c, height, width) // 2
    x[:, :, top : top + height, left : left + width] = inside
    box = [torch.tensor([side]) for side in (top, left, height, width)]
    out = crop_to_full(x, box[0], box[1], height=box[2], width=box[3])
    assert int(inside.min()) <= int(out.min())
    assert int(out.max()) <= int(inside.max())


def test_large_and_small_images_are_cropped_alike(monkeypatch):
    x = images(6, 3, 70, 66)
    rng = np.random.default_rng(0)
    height, width = rng.integers(1, 71, 6), rng.integers(1, 67, 6)
    top, left = rng.integers(0, 71 - height), rng.integers(0, 67 - width)
    box = [torch.from_numpy(side) for side in (top, left, height, width)]
    each = warp.crop_to_full(x, box[0], box[1], height=box[2], width=box[3])
    monkeypatch.setattr(warp, "_LARGE", 10**9)
    together = warp.crop_to_full(x, box[0], box[1], height=box[2], width=box[3])
    assert (each.int() - together.int()).abs().max() <= 1, "fixed-point weights beside float ones"


def test_the_whole_image_is_a_crop_that_changes_nothing():
    x = images(3, 3, 10, 7)
    zero = torch.zeros(3, dtype=torch.int64)
    assert torch.equal(crop_to_full(x, zero, zero, height=zero + 10, width=zero + 7), x)


def test_sizes_of_resized_crops_keep_to_their_ranges(monkeypatch):
    seen = {}

    def keep(x, top, left, **sides):
        seen.update(top=top, left=left, **sides)
        return x

    monkeypatch.setattr(warp, "crop_to_full", keep)
    resized_crop(
        torch.zeros(4000, 1, 100, 100, dtype=torch.uint8), torch.Generator().manual_seed(0), scale=(0.2, 0.5)
    )
    area, shape = seen["height"] * seen["width"] / 1e4, seen["width"] / seen["height"]
    assert 0.19 < float(area.min()) < 0.21
    assert 0.49 < float(area.max()) < 0.51
    assert abs(float(area.mean()) - 0.35) < 0.01
    assert 0.72 < float(shape.min()) < 0.78
    assert 1.28 < float(shape.max()) < 1.37
    for start, length in ((seen["top"], seen["height"]), (seen["left"], seen["width"])):
        assert (start >= 0).all()
        assert (start + length <= 100).all()
        assert abs(float((start / (100 - length)).mean()) - 0.5) < 0.03, "anywhere, evenly"
