"""What happens to images on their way to a network, at five strengths: the list that robustness goes over.

Every corruption takes images uint8 N×H×W×C with C of 1 or 3, an amount and a generator, and gives images of
the same shape. Amounts that are lengths are fractions of the shorter side, so that they mean the same at 28
and at 224 pixels. Six are after Hendrycks and Dietterich (2019, arXiv 1903.12261), with amounts of our own
and one blur for their four. Rotation and shift are not among theirs; snow, frost, fog and elastic distortion
are not among these.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from convscope.core.registry import Registry
from convscope.core.seeds import generator

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Images: TypeAlias = NDArray[np.uint8]
Apply: TypeAlias = Callable[[Images, float, np.random.Generator], Images]
LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in the grey image, as ITU-R BT.601 (1982) has them."""


@dataclass(frozen=True)
class Corruption:
    """A kind of damage. `amounts`: one for each strength from 1 to 5, in `unit`."""

    name: str
    unit: str
    amounts: tuple[float, float, float, float, float]
    apply: Apply


corruptions: Registry[Corruption] = Registry("corruption")


def corrupt(images: Images, name: str, strength: int, *, seed: int = 0) -> Images:
    """The images, corrupted.

    Args:
        images: uint8 N×H×W×C.
        name: of a corruption.
        strength: 0 leaves the images as they are, 5 is the strongest.
        seed: draws the same noise, signs and directions at every strength, so that strengths can be compared.

    >>> grey = np.full((1, 8, 8, 1), 100, np.uint8)
    >>> [int(np.ptp(corrupt(grey, "noise", strength))) for strength in (0, 1, 5)]
    [0, 42, 244]
    """
    corruption = corruptions[name]
    if not strength or not images.size:
        return images
    # The stream is named after the corruption and not its strength, so that one image gets one noise.
    return corruption.apply(images, corruption.amounts[strength - 1], generator(seed, "corruption", name))


def enter(name: str, unit: str, *amounts: float) -> Callable[[Apply], Apply]:
    """A decorator that puts a function on the list, with its five `amounts` in a `unit`."""

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
    # Not over the channels, which have nothing to do with each other.
    return as_bytes(gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0), mode="nearest"))


@enter("contrast", "% of the contrast", 70, 50, 35, 25, 15)
def contrast(images: Images, amount: float, _rng: np.random.Generator) -> Images:
    """Towards the mean grey of each image."""
    factor = np.float32(amount / 100)
    n, height, width, channels = images.shape
    # Rows first: long contiguous sums, and in whole numbers, so that the mean is exact.
    columns = images.reshape(n, height, width * channels).sum(axis=1, dtype=np.uint32)
    means = (columns.reshape(n, width, channels).sum(axis=1) / (height * width)).astype(np.float32)
    grey = (means @ np.array(LUMA, np.float32) if channels == 3 else means[:, 0]) * (1 - factor)
    # 256 levels an image are looked up. Cut off and not rounded, as the augmentation of training has it.
    levels = np.arange(256, dtype=np.float32) * factor + grey[:, None]
    tables = np.clip(levels, 0, 255).astype(np.uint8)
    return np.stack([table[image] for table, image in zip(tables, images, strict=True)])


@enter("brightness", "± grey levels", 20, 40, 60, 80, 100)
def brightness(images: Images, amount: float, rng: np.random.Generator) -> Images:
    """Every image lighter or darker, as a coin says; cut off at 0 and 255."""
    return as_bytes(images + np.float32(amount) * signs(images, rng))


@enter("jpeg", "quality", 60, 40, 25, 15, 8)
def jpeg(images: Images, amount: float, _rng: np.random.Generator) -> Images:
    """Written as JPEG and read again."""
    return each_image(images, lambda image: _reread(image, int(amount)))


@enter("pixelate", "% of the pixels a side", 75, 60, 50, 40, 30)
def pixelate(images: Images, amount: float, _rng: np.random.Generator) -> Images:
    """Made smaller by averages, and large again in blocks."""
    height, width = (max(1, round(side * amount / 100)) for side in images.shape[1:3])

    def coarse(image: Image.Image) -> Image.Image:
        small = image.resize((width, height), Image.Resampling.BOX)
        return small.resize(image.size, Image.Resampling.NEAREST)

    return each_image(images, coarse)


@enter("rotation", "degrees", 5, 10, 15, 22, 30)
def rotation(images: Images, amount: float, rng: np.random.Generator) -> Images:
    """Turned around the middle, either way; bilinear, and black where nothing was."""
    turned = np.empty_like(images)
    counter_clockwise = signs(images, rng).ravel() > 0
    # All images turn by one of two angles, so the weights are computed twice and not N times.
    for chosen, degrees in ((counter_clockwise, amount), (~counter_clockwise, -amount)):
        if chosen.any():
            turned[chosen] = _resampled(images[chosen], _bilinear_rotation(degrees, *images.shape[1:3]))
    return turned


@enter("shift", "% of the side", 4, 7, 11, 15, 20)
def shift(images: Images, amount: float, rng: np.random.Generator) -> Images:
    """Moved by whole pixels in any direction; black where nothing was."""
    angle = rng.uniform(0, 2 * np.pi, len(images)).astype(np.float32)
    length = np.float32(amount / 100 * shorter_side(images))
    height, width = images.shape[1:3]
    rows = _sources(height, -length * np.sin(angle))
    columns = _sources(width, -length * np.cos(angle))
    # A black frame of one pixel takes the place of a test for every pixel.
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    moved = (image.take(r, axis=0).take(c, axis=1) for image, r, c in zip(framed, rows, columns, strict=True))
    return np.stack(list(moved))


def _sources(side: int, offsets: NDArray[np.float32]) -> NDArray[np.int64]:
    """Where each row of a framed image comes from, N×side, when images move by −`offsets` (N) pixels."""
    middle = np.float32((side - 1) / 2)
    place = (np.arange(side, dtype=np.float32) - middle) + (offsets + middle)[:, None]
    return np.clip(np.rint(place), -1, side).astype(np.int64) + 1


def _resampled(images: Images, weights: csr_array) -> Images:
    """Each pixel a weighted sum of pixels; `weights` is HW×HW, a row for each pixel of the result."""
    n, height, width, channels = images.shape
    # Pixels first: every weight then multiplies one long stretch, which takes half the time of torch's grids.
    pixels = images.reshape(n, height * width, channels).transpose(1, 0, 2).reshape(height * width, -1)
    mixed = as_bytes(weights @ pixels.astype(np.float32))
    return mixed.reshape(height * width, n, channels).transpose(1, 0, 2).reshape(images.shape)


def _bilinear_rotation(degrees: float, height: int, width: int) -> csr_array:
    """The weights of the at most four pixels that each pixel comes from; there are none outside the image."""
    from scipy.sparse import csr_array

    angle = np.float32(degrees) * np.float32(np.pi / 180)
    cos, sin = np.cos(angle), np.sin(angle)
    middle_x, middle_y = np.float32((width - 1) / 2), np.float32((height - 1) / 2)
    x = np.arange(width, dtype=np.float32) - middle_x
    y = (np.arange(height, dtype=np.float32) - middle_y)[:, None]
    across, down = (cos * x + (middle_x - sin * y)).ravel(), (sin * x + (cos * y + middle_y)).ravel()
    left, top = np.floor(across), np.floor(down)
    east, south = across - left, down - top
    corners = ((0, 0, (1 - east) * (1 - south)), (1, 0, east * (1 - south)),
               (0, 1, (1 - east) * south), (1, 1, east * south))  # fmt: skip
    values, rows, columns = [], [], []
    for right, below, weight in corners:
        column, row = left + right, top + below
        # What lies outside is black, so it has no weight at all.
        inside = np.flatnonzero((column >= 0) & (column < width) & (row >= 0) & (row < height))
        values.append(weight[inside])
        rows.append(inside)
        columns.append((row * width + column)[inside].astype(np.int64))
    entries: Any = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return csr_array(entries, shape=(height * width, height * width))


def signs(images: Images, rng: np.random.Generator) -> NDArray[np.float32]:
    """1 or −1 for each image, float32 N×1×1×1."""
    return (2 * rng.integers(2, size=(len(images), 1, 1, 1)) - 1).astype(np.float32)


def shorter_side(images: Images) -> int:
    """The shorter side of images N×H×W×C, in pixels."""
    side: int = min(images.shape[1:3])
    return side


def as_bytes(pixels: NDArray[np.float32]) -> Images:
    """Rounded and cut off at 0 and 255.

    >>> as_bytes(np.array([-3.0, 1.6, 300.0], np.float32)).tolist()
    [0, 2, 255]
    """
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def each_image(images: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    """Each image by way of Pillow, which shrinks and writes JPEG faster than arrays do."""
    opened = (Image.fromarray(image[..., 0] if image.shape[2] == 1 else image) for image in images)
    return np.stack([np.asarray(change(image), np.uint8) for image in opened]).reshape(images.shape)


def _reread(image: Image.Image, quality: int) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file)
