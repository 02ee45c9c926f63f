"""Mean and standard deviation of each channel, exact whatever the number of images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError

STD_FLOOR = 1 / 255
"""The smallest standard deviation reported, one level of 256, so that a constant channel does not divide by
zero.
"""

_CHUNK_BYTES = 8_000_000


def channel_statistics(
    images: NDArray[np.uint8], *, indices: NDArray[np.int64] | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation a channel on the scale 0..1, of uint8 images N×H×W×C.

        mean = Σ x / n,   std = √(Σ x² / n − mean²),   std at least `STD_FLOOR`

    `indices` names the images that count, such as the training part; by default all do. The sums are taken
    over a histogram in whole numbers, so that they are exact, and a piece at a time, so that a memory-mapped
    array stays on disk. Raises UserError when there is no pixel.

    >>> channel_statistics(np.array([[[[0], [255]]]], np.uint8))
    ((0.5,), (0.5,))
    """
    chosen = np.arange(len(images)) if indices is None else np.sort(indices)
    if images.ndim != 4 or not len(chosen) or not images.size:
        raise UserError(
            f"no statistics of {len(chosen)} images in an array of shape {images.shape}; needed: N×H×W×C"
        )
    step = max(1, _CHUNK_BYTES // int(np.prod(images.shape[1:])))
    counts = np.zeros((images.shape[3], 256), np.int64)
    for start in range(0, len(chosen), step):
        piece = chosen[start : start + step]
        unbroken = bool((np.diff(piece) == 1).all())
        block = images[piece[0] : piece[-1] + 1] if unbroken else images[piece]
        for channel in range(images.shape[3]):
            counts[channel] += np.bincount(block[..., channel].ravel(), minlength=256)
    means, stds = zip(*(_moments([int(n) for n in histogram]) for histogram in counts), strict=True)
    return means, stds


def _moments(histogram: list[int]) -> tuple[float, float]:
    n = sum(histogram)
    total = sum(level * count for level, count in enumerate(histogram))
    squares = sum(level * level * count for level, count in enumerate(histogram))
    variance = (n * squares - total * total) / (n * n)
    return total / n / 255, max(float(np.sqrt(variance)) / 255, STD_FLOOR)
