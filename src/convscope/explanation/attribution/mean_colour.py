"""What methods share that change images and look at the answers: what they put there."""

from __future__ import annotations

import numpy as np

from convscope.data.preparing.preprocess import Preprocess


def mean_colour(preprocess: Preprocess) -> tuple[int, ...]:
    """The mean of all training images, C numbers 0..255: of all colours the one that says least about the
    class.

    >>> mean_colour(Preprocess(3, 8, 8, mean=(0.5, 0.0, 1.2)))
    (128, 0, 255)
    """
    return tuple(int(np.clip(round(255 * mean), 0, 255)) for mean in preprocess.mean)
