"""Which sizes fit together, and what comes out: N images, C channels, H rows, W columns, k kernel, s stride,
p padding.

A window of k pixels, d apart, reaches over d(k−1) + 1 pixels. Slid over H + 2p pixels in steps of s it finds
⌊(H + 2p − d(k−1) − 1)/s⌋ + 1 places: the first one, and one more for each whole step that is left.
"""

from __future__ import annotations

import operator
from typing import Literal, SupportsIndex

import numpy as np

from convscope.reference.arrays import Array, ShapeError

Pair = SupportsIndex | tuple[SupportsIndex, SupportsIndex] | list[SupportsIndex]
Padding = Pair | Literal["same", "valid"]
Sides = tuple[tuple[int, int], tuple[int, int]]

FORMULA = "floor((H + 2p - d(k-1) - 1)/s) + 1"


def pair(value: Pair, *, name: str = "a size", at_least: int = 0) -> tuple[int, int]:
    """One number for rows and columns alike, or one for each, as (rows, columns).

    Args:
        value: an integer, or two.
        name: what the number is, for the error.
        at_least: the smallest number allowed.

    Raises:
        ShapeError: not one integer or two, or too small.

    >>> pair(3), pair((1, 2))
    ((3, 3), (1, 2))
    """
    given = value if isinstance(value, tuple | list) else (value, value)
    try:
        numbers = [operator.index(number) for number in given]
    except TypeError:
        numbers = []
    if len(numbers) != 2 or min(numbers) < at_least:
        raise ShapeError(f"{name} is an integer or two, each at least {at_least}; given: {value!r}")
    return numbers[0], numbers[1]


def output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Places that a window finds along one axis: ⌊(H + 2p − d(k−1) − 1)/s⌋ + 1.

    Args:
        size: H, pixels along the axis.
        kernel: k, taps of the window, at least 1.
        stride: s, pixels from one place to the next, at least 1.
        padding: p, pixels added on each side.
        dilation: d, pixels from one tap to the next, at least 1.

    Raises:
        ShapeError: not one place, since the window reaches over more pixels than there are.

    >>> output_size(224, 7, stride=2, padding=3)
    112
    >>> output_size(3, 5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    convscope.reference.arrays.ShapeError: a kernel of 5 (dilation 1) reaches over 5 pixels, and with padding 0 ...
    """
    places = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    if places < 1:
        raise ShapeError(
            f"a kernel of {kernel} (dilation {dilation}) reaches over {dilation * (kernel - 1) + 1} pixels, "
            f"and with "
            f"padding {padding} there are {size + 2 * padding}: {FORMULA} = "
            f"floor(({size} + 2*{padding} - {dilation}*{kernel - 1} - 1)/{stride}) + 1 = {places}; "
            "give a larger image or more padding, or a smaller kernel or dilation"
        )
    return places


def output_shape(
    size: tuple[int, int], kernel: Pair, *, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1
) -> tuple[int, int]:
    """Rows and columns that a window gives, `output_size` along each axis; with padding "same" those of the
    image.

    >>> output_shape((28, 20), 5, stride=(1, 2))
    (24, 8)
    >>> output_shape((28, 20), 5, padding="same")
    (28, 20)
    """
    sides = border(padding, kernel, stride=stride, dilation=dilation)
    if isinstance(padding, str) and padding == "same":
        return size
    k, s, d = pair(kernel, name="kernel", at_least=1), pair(stride), pair(dilation)
    rows, columns = (
        output_size(size[axis], k[axis], stride=s[axis], padding=sides[axis][0], dilation=d[axis])
        for axis in (0, 1)
    )
    return rows, columns


def border(padding: Padding, kernel: Pair, *, stride: Pair = 1, dilation: Pair = 1) -> Sides:
    """Pixels added as ((above, below), (left, right)).

    An integer p stands for p on every side, "valid" for none. "same" keeps the size of the image, so that it
    needs d(k−1) pixels in all; where that is odd the one more comes after, as in PyTorch.

    Raises:
        ShapeError: "same" with a stride other than 1: no padding keeps the size of an image that is walked in
            larger steps. (Keras means ⌈H/s⌉ by the word there; give the numbers.)

    >>> border(1, 3), border("valid", 3)
    (((1, 1), (1, 1)), ((0, 0), (0, 0)))
    >>> border("same", (3, 4))
    ((1, 1), (1, 2))
    """
    k, s, d = (
        pair(value, name=name, at_least=1)
        for value, name in ((kernel, "kernel"), (stride, "stride"), (dilation, "dilation"))
    )
    if not isinstance(padding, str):
        above, left = pair(padding, name="padding")
        return (above, above), (left, left)
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise ShapeError(f'padding is an integer, two, "same" or "valid"; given: {padding!r}')
    if s != (1, 1):
        raise ShapeError(
            f'padding "same" needs stride 1, given {stride}: with {FORMULA} no padding keeps H where s > 1; '
            "give the padding in pixels"
        )
    needed = [d[axis] * (k[axis] - 1) for axis in (0, 1)]
    return (needed[0] // 2, needed[0] - needed[0] // 2), (needed[1] // 2, needed[1] - needed[1] // 2)


def pad_images(x: Array, sides: Sides, *, value: float = 0.0) -> Array:
    """N×C×H×W with `value` around each map; the array itself where nothing is added.

    >>> pad_images(np.ones((1, 1, 1, 2)), ((0, 1), (1, 0)))[0, 0]
    array([[0., 1., 1.],
           [0., 0., 0.]])
    """
    (above, below), (left, right) = sides
    if not any((above, below, left, right)):
        return x
    n, c, h, w = x.shape
    padded = np.full((n, c, above + h + below, left + w + right), value, x.dtype)
    padded[:, :, above : above + h, left : left + w] = x
    return padded


def crop_images(x: Array, sides: Sides) -> Array:
    """N×C×H×W without its border, a copy: undoes `pad_images`, and takes of its gradient what is no padding.

    >>> crop_images(np.arange(4.0).reshape(1, 1, 1, 4), ((0, 0), (1, 2)))
    array([[[[1.]]]])
    """
    (above, below), (left, right) = sides
    return np.ascontiguousarray(x[:, :, above : x.shape[2] - below, left : x.shape[3] - right])
