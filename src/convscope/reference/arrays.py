"""Which numbers the reference computes with: float32 stays float32, float64 stays float64, integers become
float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def as_floats(*values: ArrayLike) -> list[Array]:
    """The arrays in one floating type: float32 where all are, else float64.

    Integers and truth values become float64. An array of integers would cut off what is behind the point of
    each result written into it, without a word.

    Raises:
        TypeError: numbers of another type (half precision, complex, objects).

    >>> image, kernel = as_floats(np.array([1, 2]), np.float32([0.5]))
    >>> (image * kernel).tolist(), image.dtype, kernel.dtype
    ([0.5, 1.0], dtype('float64'), dtype('float64'))
    """
    arrays = [np.asarray(value) for value in values]
    for array in arrays:
        if array.dtype.kind not in "iub" and array.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"the reference computes in float32 and float64, from these or from integers, not "
                f"{array.dtype}"
            )
    common = np.float32 if all(array.dtype == np.float32 for array in arrays) else np.float64
    return [array.astype(common, copy=False) for array in arrays]


class ShapeError(ValueError):
    """Sizes that do not fit each other; the message names them and the formula that they had to obey."""


def check_maps(x: Array, *, name: str = "x") -> None:
    """Refuse what is not N×C×H×W with at least one channel, row and column; N may be 0."""
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ShapeError(f"{name} is N×C×H×W with C, H and W at least 1; given: {x.shape}")


def check_same(given: tuple[int, ...], expected: tuple[int, ...], *, name: str, why: str) -> None:
    """Refuse an array `name` whose shape is not the expected one; `why` is the formula behind it.

    >>> check_same((3,), (4,), name="b", why="one a filter, C_out")
    Traceback (most recent call last):
    ...
    convscope.reference.arrays.ShapeError: b has shape (3,) and needs (4,): one a filter, C_out
    """
    if given != expected:
        raise ShapeError(f"{name} has shape {given} and needs {expected}: {why}")


def check_filters(x: tuple[int, ...], w: tuple[int, ...], *, groups: int = 1) -> None:
    """Refuse shapes of filters that do not fit those of the images: C_in = (C_in/groups)·groups, groups |
    C_out.

    >>> check_filters((1, 3, 8, 8), (4, 1, 3, 3))
    Traceback (most recent call last):
    ...
    convscope.reference.arrays.ShapeError: x has 3 channels and filters of shape (4, 1, 3, 3) with groups 1 take 1: \
C_in = w.shape[1]*groups has to hold
    """
    if len(w) != 4 or 0 in w:
        raise ShapeError(f"w is C_out×(C_in/groups)×kH×kW, each at least 1; given: {w}")
    check_groups(groups, w[0], name="C_out")
    if x[1] != w[1] * groups:
        raise ShapeError(
            f"x has {x[1]} channels and filters of shape {w} with groups {groups} take {w[1] * groups}: "
            "C_in = w.shape[1]*groups has to hold"
        )


def check_groups(groups: int, channels: int, *, name: str) -> None:
    """Refuse groups that do not divide the channels."""
    if not isinstance(groups, int | np.integer) or groups < 1 or channels % groups:
        raise ShapeError(
            f"groups is at least 1 and divides {name} = {channels}, {name} % groups = 0; given: {groups}"
        )
