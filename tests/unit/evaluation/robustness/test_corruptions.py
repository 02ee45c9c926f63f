from __future__ import annotations

import numpy as np
import pytest

import photographs
from convscope.core.errors import UserError
from convscope.core.seeds import generator
from convscope.evaluation.robustness.corruptions import corrupt, corruptions

NAMES = list(corruptions)


def pictures(channels: int, side: int, count: int = 6) -> np.ndarray:
    """Soft blobs: neighbours are alike, as in pictures of things."""
    from scipy.ndimage import gaussian_filter

    rough = np.random.default_rng(side).normal(size=(count, side, side, channels))
    soft = gaussian_filter(rough, (0, side / 14, side / 14, 0))
    return np.clip(128 + 60 * soft / soft.std(), 0, 255).astype(np.uint8)


def test_the_list():
    assert NAMES == ["noise", "blur", "contrast", "brightness", "jpeg", "pixelate", "rotation", "shift"]
    with pytest.raises(UserError, match="rotation"):
        corrupt(pictures(1, 8), "rotatoin", 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channels", "side"), [(1, 28), (3, 32), (3, 96)])
def test_each_strength_is_farther_from_the_original_than_the_one_before(name, channels, side):
    images = pictures(channels, side)
    kept = images.copy()
    away = []
    for strength in range(6):
        damaged = corrupt(images, name, strength)
        assert damaged.shape == images.shape and damaged.dtype == np.uint8
        away.append(float(np.abs(damaged.astype(float) - images).mean()))
    assert away[0] == 0 < away[1] and (np.diff(away) > 0).all()
    np.testing.assert_array_equal(images, kept)


# JPEG squares have 8 pixels and pixelate leaves a share of the pixels: what a large picture shows is larger
# than that.
@pytest.mark.parametrize("name", sorted({*NAMES} - {"jpeg", "pixelate"}))
def test_it_means_the_same_at_every_size(name):
    """The mean change of a picture, drawn at 28 and at 112 pixels."""
    small, large = (
        np.abs(corrupt(images, name, 3).astype(float) - images).mean()
        for images in (pictures(1, 28, 40), pictures(1, 112, 40))
    )
    assert large == pytest.approx(small, rel=0.3)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides(name):
    images = pictures(3, 24, 16)
    once = corrupt(images, name, 4, seed=1)
    np.testing.assert_array_equal(once, corrupt(images, name, 4, seed=1))
    drawn = name in {"noise", "brightness", "rotation", "shift"}
    assert (once != corrupt(images, name, 4, seed=2)).any() == drawn


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(0, 8, 8, 1), (1, 8, 8, 3), (2, 9, 30, 1), (1, 1, 1, 1), (1, 3, 2, 3)])
def test_odd_shapes(name, shape):
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert corrupt(images, name, 5).shape == shape


def test_images_that_must_not_be_written_to_and_are_not_in_one_piece():
    images = np.repeat(pictures(3, 16), 2, axis=2)[:, :, ::2]
    images.flags.writeable = False
    for name in NAMES:
        np.testing.assert_array_equal(corrupt(images, name, 2), corrupt(np.array(images), name, 2))


def test_amounts_do_what_their_units_say():
    grey = np.full((400, 20, 20, 1), 120, np.uint8)
    assert corrupt(grey, "noise", 3).std() == pytest.approx(26, rel=0.02)
    lighter = corrupt(grey, "brightness", 2).reshape(400, -1)[:, 0]
    assert set(lighter.tolist()) == {80, 160} and 0.4 < (lighter == 160).mean() < 0.6
    point = np.zeros((200, 25, 25, 1), np.uint8)
    point[:, 12, 12] = 255
    moved = np.argwhere(corrupt(point, "shift", 5)[..., 0] == 255)[:, 1:] - 12
    assert len(moved) == 200 and np.hypot(*moved.T) == pytest.approx(5, abs=0.8)
    assert len({tuple(way) for way in moved.tolist()}) > 15
    half = corrupt(pictures(1, 20), "pixelate", 3)
    assert len(np.unique(half[0, :, 0, 0])) <= 10
    low = corrupt(pictures(1, 20), "contrast", 5)
    assert low.std(axis=(1, 2)) == pytest.approx(0.15 * pictures(1, 20).std(axis=(1, 2)), rel=0.1)


def test_photographs_are_still_photographs_at_the_strongest():
    """Their mean grey stays within a third, but for brightness, which is there to change it."""
    images = photographs.part(6).take(np.arange(6))
    for name in set(NAMES) - {"brightness"}:
        assert corrupt(images, name, 5).mean() == pytest.approx(images.mean(), rel=0.34)


def through_torch(images, change):
    """What the augmentation of training does, which is an implementation of its own."""
    import torch

    return change(torch.from_numpy(images).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()


SHAPES = [(40, 28, 28, 1), (12, 32, 41, 3), (2, 224, 224, 3), (3, 1, 5, 1)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strength", [1, 3, 5])
def test_contrast_is_that_of_the_augmentation(shape, strength):
    import torch

    from convscope.data.pytorch.augmentation.photometric import contrast

    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    factor = corruptions["contrast"].amounts[strength - 1] / 100
    expected = through_torch(images, lambda x: contrast(x, torch.full((len(x),), factor)))
    np.testing.assert_array_equal(corrupt(images, "contrast", strength), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strength", [1, 3, 5])
def test_a_shift_is_that_of_the_augmentation(shape, strength):
    import torch

    from convscope.data.pytorch.augmentation.warp import nearest, shifts

    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    angle = torch.from_numpy(
        generator(0, "corruption", "shift").uniform(0, 2 * np.pi, len(images)).astype(np.float32)
    )
    length = corruptions["shift"].amounts[strength - 1] / 100 * min(shape[1:3])
    maps = shifts(length * angle.cos(), across=True)
    maps[:, 1, 2] = -length * angle.sin()
    expected = through_torch(images, lambda x: nearest(x, maps))
    np.testing.assert_array_equal(corrupt(images, "shift", strength), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("strength", [1, 3, 5])
def test_a_rotation_is_that_of_the_augmentation_but_where_rounding_decides(shape, strength):
    """Both blend in float32, with positions from one more division there: 224 pixels away that is 1e-5 of a
    pixel, and at most 0.01 of a grey level."""
    import torch

    from convscope.data.pytorch.augmentation.warp import rotate

    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    degrees = corruptions["rotation"].amounts[strength - 1]
    signs = 2 * generator(0, "corruption", "rotation").integers(2, size=(len(images), 1, 1, 1)) - 1
    turned = torch.from_numpy((degrees * signs).astype(np.float32).ravel())
    expected = through_torch(images, lambda x: rotate(x, turned)).astype(int)
    found = corrupt(images, "rotation", strength).astype(int)
    differing = found != expected
    assert np.abs(found - expected).max() <= 1 and differing.mean() < 1e-3
    if differing.any():
        exact = exactly_turned(images, degrees * signs.ravel())
        assert np.abs(exact[differing] % 1 - 0.5).max() < 0.01


def exactly_turned(images, degrees):
    """Bilinear rotation in float64, one image and corner after another."""
    n, height, width, _ = images.shape
    framed = np.pad(images.astype(np.float64), ((0, 0), (1, 2), (1, 2), (0, 0)))
    x = np.arange(width) - (width - 1) / 2
    y = (np.arange(height) - (height - 1) / 2)[:, None]
    turned = np.zeros(images.shape)
    for image, angle in zip(range(n), np.deg2rad(degrees), strict=True):
        across = np.cos(angle) * x - np.sin(angle) * y + (width - 1) / 2
        down = np.sin(angle) * x + np.cos(angle) * y + (height - 1) / 2
        for dx in (0, 1):
            for dy in (0, 1):
                left, top = np.floor(across) + dx, np.floor(down) + dy
                weight = (1 - abs(across - left)) * (1 - abs(down - top))
                column = np.clip(left, -1, width).astype(int) + 1
                row = np.clip(top, -1, height).astype(int) + 1
                turned[image] += weight[..., None] * framed[image, row, column]
    return turned
