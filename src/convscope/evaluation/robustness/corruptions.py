"""What happens to pictures on their way to a network, at five strengths: the list that robustness is measured
over.

Every corruption takes images uint8 N×H×W×C with C of 1 or 3, an amount and a generator, and gives images of
the same shape. Amounts that are lengths are shares of the shorter side, so that they mean the same at 28 and
at 224 pixels. Six are after Hendrycks and Dietterich (2019, arXiv 1903.12261), with amounts of our own and
one blur for their four. Rotation and shift are not among theirs; snow, frost, fog and elastic distortion are
not among these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convscope.core.registry import Registry
from convscope.core.seeds import generator

if TYPE_CHECKING:
    from torch import Tensor

Images: TypeAlias = NDArray[np.uint8]
Apply: TypeAlias = Callable[[Images, float, np.random.Generator], Images]


@dataclass(frozen=True)
class Corruption:
    """A kind of damage. `amounts`: one for each strength from 1 to 5, in `unit`."""

    name: str
    unit: str
    amounts: tuple[float, float, float, float, float]
    apply: Apply


corruptions: Registry[Corruption] = Registry("corruption")


def corrupt(images: Images, name: str, strength: int, *, seed: int = 0) -> Images:
    """Images uint8 N×H×W×C, damaged; strength 0 leaves them as they are, 5 is the strongest.

    The same seed draws the same noise, signs and directions at every strength, so that strengths can be
    compared.

    >>> grey = np.full((1, 8, 8, 1), 100, np.uint8)
    >>> [int(np.ptp(corrupt(grey, "noise", strength))) for strength in (0, 1, 5)]
    [0, 42, 244]
    """
    corruption = corruptions[name]
    if not strength or not images.size:
        return images
    return corruption.apply(images, corruption.amounts[strength - 1], generator(seed, "corruption", name))


def enter(name: str, unit: str, *amounts: float) -> Callable[[Apply], Apply]:
    """A decorator that puts a function on the list."""

    def add(apply: Apply) -> Apply:
        first, second, third, fourth, fifth = amounts
        corruptions.add(name)(Corruption(name, unit, (first, second, third, fourth, fifth), apply))
        return apply

    return add


@enter("noise", "sd in grey levels", 8, 16, 26, 38, 52)
def noise(images: Images, amount: float, rng: np.random.Generator) -> Images:
    """Normal noise on every number, cut off at 0 and 255."""
    return as_bytes(images + np.float32(amount) * rng.standard_normal(images.shape, np.float32))


@enter("blur", "sd in % of the side", 1.2, 1.6, 2, 2.6, 3.4)
def blur(images: Images, amount: float, _rng: np.random.Generator) -> Images:
    """A Gaussian blur; the edge is continued by its last pixel."""
    from scipy.ndimage import gaussian_filter

    sigma = amount / 100 * shorter_side(images)
    return as_bytes(gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0), mode="nearest"))


@enter("contrast", "% of the contrast", 70, 50, 35, 25, 15)
def contrast(images: Images, amount: float, _rng: np.random.Generator) -> Images:
    """Towards the mean grey of each image."""
    import torch

    from convscope.data.pytorch.augmentation import enhance

    return through_torch(images, lambda x: enhance.contrast(x, torch.full((len(x),), amount / 100)))


@enter("brightness", "± grey levels", 20, 40, 60, 80, 100)
def brightness(images: Images, amount: float, rng: np.random.Generator) -> Images:
    """Every image lighter or darker, as a coin says; cut off at 0 and 255."""
    return as_bytes(images + np.float32(amount) * signs(images, rng))


@enter("jpeg", "quality", 60, 40, 25, 15, 8)
def jpeg(images: Images, amount: float, _rng: np.random.Generator) -> Images:
    """Written as JPEG and read again."""
    return each_picture(images, lambda picture: _reread(picture, int(amount)))


@enter("pixelate", "% of the pixels a side", 75, 60, 50, 40, 30)
def pixelate(images: Images, amount: float, _rng: np.random.Generator) -> Images:
    """Made smaller by averages, and large again in blocks."""
    height, width = (max(1, round(side * amount / 100)) for side in images.shape[1:3])

    def coarse(picture: Image.Image) -> Image.Image:
        small = picture.resize((width, height), Image.Resampling.BOX)
        return small.resize(picture.size, Image.Resampling.NEAREST)

    return each_picture(images, coarse)


@enter("rotation", "degrees", 5, 10, 15, 22, 30)
def rotation(images: Images, amount: float, rng: np.random.Generator) -> Images:
    """Turned around the middle, either way; black where nothing was."""
    import torch

    from convscope.data.pytorch.augmentation.warp import rotate

    degrees = torch.from_numpy(amount * signs(images, rng).ravel())
    return through_torch(images, lambda x: rotate(x, degrees))


@enter("shift", "% of the side", 4, 7, 11, 15, 20)
def shift(images: Images, amount: float, rng: np.random.Generator) -> Images:
    """Moved by whole pixels in any direction; black where nothing was."""
    import torch

    from convscope.data.pytorch.augmentation.warp import nearest, shifts

    angle = torch.from_numpy(rng.uniform(0, 2 * np.pi, len(images)).astype(np.float32))
    way = amount / 100 * shorter_side(images)
    maps = shifts(way * angle.cos(), across=True)
    maps[:, 1, 2] = -way * angle.sin()
    return through_torch(images, lambda x: nearest(x, maps))


def signs(images: Images, rng: np.random.Generator) -> NDArray[np.float32]:
    """1 or −1 for each image, float32 N×1×1×1."""
    return (2 * rng.integers(2, size=(len(images), 1, 1, 1)) - 1).astype(np.float32)


def shorter_side(images: Images) -> int:
    """In pixels."""
    side: int = min(images.shape[1:3])
    return side


def as_bytes(pixels: NDArray[np.float32]) -> Images:
    """Rounded and cut off at 0 and 255.

    >>> as_bytes(np.array([-3.0, 1.6, 300.0], np.float32)).tolist()
    [0, 2, 255]
    """
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def through_torch(images: Images, change: Callable[[Tensor], Tensor]) -> Images:
    """What the augmentation of training does to N×C×H×W, done to N×H×W×C."""
    import torch

    x = torch.from_numpy(np.require(images, requirements=["C", "W"])).permute(0, 3, 1, 2)
    changed: Images = change(x).permute(0, 2, 3, 1).numpy()
    return changed


def each_picture(images: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    """Each image by way of Pillow, which shrinks and writes JPEG faster than arrays do."""
    pictures = (Image.fromarray(image[..., 0] if image.shape[2] == 1 else image) for image in images)
    return np.stack([np.asarray(change(picture), np.uint8) for picture in pictures]).reshape(images.shape)


def _reread(picture: Image.Image, quality: int) -> Image.Image:
    file = BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)
