"""Labels, looked at before anything is computed: a wrong one, such as −1, would pick another logit in
silence.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convscope.reference.shapes import check_same


def class_labels(labels: ArrayLike, count: int, classes: int) -> NDArray[np.int64]:
    """The labels of `count` images as int64, each from 0 to `classes` − 1.

    Raises:
        ShapeError: not one label an image.
        ValueError: labels that are no whole numbers or name no class; the message says which image.

    >>> class_labels([0, 2], 2, 3)
    array([0, 2])
    >>> class_labels([0, 3], 2, 3)
    Traceback (most recent call last):
    ...
    ValueError: label 3 of image 1 is none of 3 classes; labels are whole numbers from 0 to 2
    """
    found = np.asarray(labels)
    check_same(found.shape, (count,), name="labels", why="N, one label an image")
    if count and found.dtype.kind not in "iu":
        raise ValueError(
            f"labels are whole numbers from 0 to {classes - 1}, one an image; given: {found.dtype}"
        )
    wrong = np.flatnonzero((found < 0) | (found >= classes))
    if wrong.size:
        raise ValueError(
            f"label {found[wrong[0]]} of image {wrong[0]} is none of {classes} classes; "
            f"labels are whole numbers from 0 to {classes - 1}"
        )
    return found.astype(np.int64, copy=False)
