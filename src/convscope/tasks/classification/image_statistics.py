"""How images look, in a few numbers: what a person would say of a picture without knowing what it shows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

# Shares of red, green and blue in luma, ITU-R BT.601 (1982).
LUMA = (np.float32(0.299), np.float32(0.587), np.float32(0.114))
PIXELS = 65_536
WORDS = {
    "brightness": ("darkest", "brightest"),
    "contrast": ("flattest", "most contrasting"),
    "sharpness": ("softest", "sharpest"),
    "colourfulness": ("palest", "most colourful"),
}
"""What to call the images with the least and the most of each."""


def image_statistics(batches: Iterable[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
    """Numbers of N images, in batches uint8 n×H×W×C: brightness, contrast, sharpness and colourfulness, N
    each.

    brightness: the mean grey level, 0 to 255. contrast: its standard deviation. sharpness: the mean
    difference of neighbouring pixels, over the contrast, so that a faint picture may be sharp. colourfulness:
    that of Hasler and Süsstrunk (2003, "Measuring colourfulness in natural images"); with one channel there
    is no such entry.

    >>> looks = image_statistics([np.array([0, 255], np.uint8).reshape(2, 1, 1, 1) * np.ones((2, 4, 4, 1), np.uint8)])
    >>> looks["brightness"].tolist(), list(looks)
    ([0.0, 255.0], ['brightness', 'contrast', 'sharpness'])
    """
    rows = [_looks(lot) for images in batches for lot in _lots(images)]
    names = rows[0] if rows else {}
    return {name: np.concatenate([row[name] for row in rows]) for name in names}


def _lots(images: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """As many at a time as stay in the processor's cache: photographs are then done in a third of the
    time.
    """
    size = max(1, PIXELS // (images.shape[1] * images.shape[2]))
    return [images[start : start + size] for start in range(0, len(images), size)]


def _looks(images: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    planes = [np.ascontiguousarray(images[..., c]).astype(np.float32) for c in range(images.shape[3])]
    grey = planes[0] if len(planes) == 1 else LUMA[0] * planes[0] + LUMA[1] * planes[1] + LUMA[2] * planes[2]
    contrast = grey.std(axis=(1, 2))
    edges = (_mean_step(grey, 1) + _mean_step(grey, 2)) / 2
    looks = {"brightness": grey.mean(axis=(1, 2)), "contrast": contrast, "sharpness": edges / (contrast + 1)}
    if len(planes) == 3:
        red, green, blue = planes
        opponents = (red - green, (red + green) / 2 - blue)
        spread = np.sqrt(sum(opponent.var(axis=(1, 2)) for opponent in opponents))
        middle = np.sqrt(sum(opponent.mean(axis=(1, 2)) ** 2 for opponent in opponents))
        looks["colourfulness"] = spread + 0.3 * middle
    return looks


def _mean_step(grey: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    if grey.shape[axis] < 2:
        return np.zeros(len(grey), np.float32)
    mean: NDArray[np.float32] = np.abs(np.diff(grey, axis=axis)).mean(axis=(1, 2))
    return mean
