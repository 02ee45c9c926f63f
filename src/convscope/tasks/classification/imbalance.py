"""Classes of unequal size: what each class, or each image, counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError


def class_weights(class_counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights n / (K·n_k), so that the mean weight of an image is 1; 0 for classes without images.

    `class_counts`: the images of each class; K are those with any. The "balanced" heuristic of King and Zeng
    2001 (Political Analysis 9).

    >>> class_weights([30, 10, 0]).round(3).tolist()
    [0.667, 2.0, 0.0]
    """
    counts = np.asarray(class_counts, dtype=np.float64)
    if not counts.any():
        raise UserError("there are no training images to weigh; check the data with: convscope scan DATA")
    weights = np.zeros_like(counts)
    # A class without images has no weight, and must not divide by zero.
    filled = counts > 0
    weights[filled] = counts.sum() / (filled.sum() * counts[filled])
    return weights


def sampling_weights(labels: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """The probability of each of N images, so that every class with images is drawn equally often; sum 1.

    >>> sampling_weights([0, 0, 0, 1]).round(3).tolist()
    [0.167, 0.167, 0.167, 0.5]
    """
    values = np.asarray(labels, dtype=np.int64)
    weights = class_weights(np.bincount(values))[values] / len(values)
    result: NDArray[np.float64] = weights / weights.sum()
    return result
