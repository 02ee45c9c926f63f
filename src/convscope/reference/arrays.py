"""Which arrays the reference accepts: their number type and their shapes.

float32 stays float32, float64 stays float64, and integers become float64. A shape that does not fit raises a
ShapeError with the formula that it breaks.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


class ShapeError(ValueError):
    """Sizes that do not fit each other; the message names them and the formula that they break."""


def as_floats(*values: ArrayLike) -> list[Array]:
    """Convert all arrays to one floating type: float32 where all are float32, else float64.

    Integers and booleans become float64. An integer array would silently cut off the fraction of each result
    that is written into it.

    Args:
        values: arrays, lists or numbers of any shape: bool, integers, float32 or float64.

    Returns:
        The arrays in the same order; an array that has the type already is not copied.

    Raises:
        TypeError: another type, such as half precision, complex numbers or objects.

    >>> image, kernel = as_floats(np.array([1, 2]), np.float32([0.5]))
    >>> (image * kernel).tolist(), image.dtype, kernel.dtype
    ([0.5, 1.0], dtype('float64'), dtype('float64'))
    """
    # asarray copies nothing that is an array already, so checking a batch is free.
    arrays = [np.asarray(value) for value in values]
    for array in arrays:
        # float16 has 11 significant bits: gradient checks and parity bounds would mean nothing.
        if array.dtype.kind not in "iub" and array.dtype not in (np.float32, np.float64):
            raise TypeError(
                "the reference computes in float32 and float64, from these or from integers, "
                f"not {array.dtype}"
            )
    # float32 holds integers up to 2²⁴ exactly, so integers beside float32 take everything to float64.
    common = np.float32 if all(array.dtype == np.float32 for array in arrays) else np.float64
    return [array.astype(common, copy=False) for array in arrays]


def check_maps(x: Array, *, name: str = "x") -> None:
    """Refuse an array that is not N×C×H×W with at least one channel, row and column; N may be 0.

    Args:
        x: the array, of any shape.
        name: what the error calls it.

    Raises:
        ShapeError: another number of axes, or C, H or W of 0.
    """
    # An empty batch is legal and gives an empty result; an empty map has no window.
    if x.ndim != 4 or 0 in x.shape[1:]:
        raise ShapeError(f"{name} is N×C×H×W with C, H and W at least 1; given: {x.shape}")


def check_same(shape: tuple[int, ...], expected: tuple[int, ...], *, name: str, why: str) -> None:
    """Refuse an array whose shape is not the expected one.

    Args:
        shape: the shape of the array.
        expected: the shape that it needs.
        name: what the error calls the array.
        why: the formula behind the expected shape, for the error.

    Raises:
        ShapeError: the two differ.

    >>> check_same((3,), (4,), name="b", why="one a filter, C_out")
    Traceback (most recent call last):
    ...
    convscope.reference.arrays.ShapeError: b has shape (3,) and needs (4,): one a filter, C_out
    """
    if shape != expected:
        raise ShapeError(f"{name} has shape {shape} and needs {expected}: {why}")


def check_filters(x: tuple[int, ...], w: tuple[int, ...], *, groups: int = 1) -> None:
    """Refuse filters that do not fit the images: C_in = (C_in/groups)·groups, and groups divides C_out.

    Args:
        x: the shape of the images, N×C_in×H×W.
        w: the shape of the filters, C_out×(C_in/groups)×kH×kW.
        groups: the number of parts of channels and filters, at least 1.

    Raises:
        ShapeError: the shapes do not fit.

    >>> check_filters((1, 3, 8, 8), (4, 1, 3, 3))
    Traceback (most recent call last):
    ...
    convscope.reference.arrays.ShapeError: x has 3 channels and filters of shape (4, 1, 3, 3) with groups 1 \
take 1: C_in = w.shape[1]*groups has to hold
    """
    if len(w) != 4 or 0 in w:
        raise ShapeError(f"w is C_out×(C_in/groups)×kH×kW, each at least 1; given: {w}")
    # C_in needs no check of its own: C_in = w.shape[1]·groups is a multiple of groups.
    check_groups(groups, w[0], name="C_out")
    if x[1] != w[1] * groups:
        raise ShapeError(
            f"x has {x[1]} channels and filters of shape {w} with groups {groups} take {w[1] * groups}: "
            "C_in = w.shape[1]*groups has to hold"
        )


def check_groups(groups: int, channels: int, *, name: str) -> None:
    """Refuse groups that do not divide the channels.

    Args:
        groups: the number of groups, an integer of at least 1.
        channels: the number of channels.
        name: what the error calls the channels, such as C_in.

    Raises:
        ShapeError: groups is no positive integer or leaves a remainder.
    """
    # 1.0 would pass the arithmetic and fail later inside reshape, far from its cause.
    if not isinstance(groups, int | np.integer) or groups < 1 or channels % groups:
        raise ShapeError(
            f"groups is at least 1 and divides {name} = {channels}, {name} % groups = 0; given: {groups}"
        )
