"""What methods share that change images and look at the answers: what they put there, and how many at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convscope.data.preprocess import Preprocess
from convscope.models.pytorch.predictor import MOST_IMAGES, MOST_PIXELS


def mean_colour(preprocess: Preprocess) -> tuple[int, ...]:
    """The mean of all training images, C numbers 0..255: of all colours the one that says least about the class.

    >>> mean_colour(Preprocess(3, 8, 8, mean=(0.5, 0.0, 1.2)))
    (128, 0, 255)
    """
    return tuple(int(np.clip(round(255 * mean), 0, 255)) for mean in preprocess.mean)


def lot_size(images: NDArray[np.uint8]) -> int:
    """How many changed copies of images N×H×W×C are made at a time.

    >>> lot_size(np.zeros((0, 224, 224, 3), np.uint8))
    19
    """
    pixels = int(images.shape[1] * images.shape[2])
    return max(1, min(MOST_IMAGES, MOST_PIXELS // pixels))
