"""Resizing beside torchvision's, which is an independent road to Pillow: the same shorter side, the same
middle.
"""

from __future__ import annotations

import importlib
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from convscope.data.preparing.preprocess import Preprocess
from convscope.models.pytorch.torchvision_cpu import import_torchvision


def transforms() -> ModuleType:
    import_torchvision()
    return importlib.import_module("torchvision.transforms.v2")


@pytest.mark.parametrize(
    ("height", "width"), [(300, 400), (400, 300), (231, 577), (224, 500), (90, 61), (1000, 224)]
)
@pytest.mark.parametrize("side", [224, 64, 31])
def test_crop_is_resize_and_centre_crop(height: int, width: int, side: int) -> None:
    v2 = transforms()
    array = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    smooth = Image.fromarray(array).resize((width // 4, height // 4)).resize((width, height))
    expected = np.asarray(v2.CenterCrop(side)(v2.Resize(side)(smooth)))
    got = Preprocess(3, side, side, "crop").prepare(smooth)
    # One box in place of two steps, with float32 corners, rounds the weights otherwise: measured, one level
    # in at most 10 % of the samples.
    difference = np.abs(got.astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.15


@pytest.mark.parametrize(("height", "width"), [(300, 400), (33, 65)])
def test_stretch_is_resize(height: int, width: int) -> None:
    v2 = transforms()
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))
    got = Preprocess(3, 48, 80, "stretch").prepare(image)
    np.testing.assert_array_equal(got, np.asarray(v2.Resize((48, 80))(image)))


def test_normalise_is_to_dtype_and_normalize() -> None:
    torch = pytest.importorskip("torch")
    v2 = transforms()
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), np.uint8)
    tensor = torch.from_numpy(images).permute(0, 3, 1, 2)
    expected = v2.Normalize(mean, std)(v2.ToDtype(torch.float32, scale=True)(tensor))
    # Both are float32 near 2: a few units in the last place.
    np.testing.assert_allclose(
        Preprocess(3, 16, 16, "crop", mean, std).normalise(images), expected, atol=1e-6
    )
