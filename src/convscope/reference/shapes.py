"""Which size comes out: N images, C channels, H rows, W columns, kernel k, stride s, padding p, dilation d.

A window of k pixels, d apart, covers d(k−1) + 1 pixels. Over H + 2p pixels in steps of s it has
⌊(H + 2p − d(k−1) − 1)/s⌋ + 1 positions: the first one, and one more for each whole step that fits behind it.

Source: Dumoulin and Visin, A Guide to Convolution Arithmetic for Deep Learning (2016), chapter 2,
https://arxiv.org/abs/1603.07285
"""

from __future__ import annotations

import operator
from typing import Literal, SupportsIndex

import numpy as np

from convscope.reference.arrays import Array, ShapeError

# SupportsIndex instead of int: NumPy integers, such as those of a shape array, count as well.
Pair = SupportsIndex | tuple[SupportsIndex, SupportsIndex] | list[SupportsIndex]
Padding = Pair | Literal["same", "valid"]
Sides = tuple[tuple[int, int], tuple[int, int]]

FORMULA = "floor((H + 2p - d(k-1) - 1)/s) + 1"


def pair(value: Pair, *, name: str = "a size", at_least: int = 0) -> tuple[int, int]:
    """Read one number for rows and columns alike, or one for each, as (rows, columns).

    Args:
        value: an integer, or two.
        name: what the number is, for the error.
        at_least: the smallest number allowed.

    Returns:
        Two Python integers: rows, columns.

    Raises:
        ShapeError: not one integer or two, or too small.

    >>> pair(3), pair((1, 2))
    ((3, 3), (1, 2))
    """
    both = value if isinstance(value, tuple | list) else (value, value)
    try:
        # operator.index takes NumPy's integers and refuses 2.5, which int() would silently round down.
        numbers = [operator.index(number) for number in both]
    except TypeError:
        numbers = []
    if len(numbers) != 2 or min(numbers) < at_least:
        raise ShapeError(f"{name} is an integer or two, each at least {at_least}; given: {value!r}")
    return numbers[0], numbers[1]


def output_size(size: int, kernel: int, *, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Count the positions of a window along one axis: ⌊(H + 2p − d(k−1) − 1)/s⌋ + 1.

    Args:
        size: H, pixels along the axis.
        kernel: k, taps of the window, at least 1.
        stride: s, pixels from one position to the next, at least 1.
        padding: p, pixels added on each side.
        dilation: d, pixels from one tap to the next, at least 1.

    Returns:
        The number of positions, at least 1.

    Raises:
        ShapeError: no position, because the window covers more pixels than there are.

    >>> output_size(224, 7, stride=2, padding=3)
    112
    >>> output_size(3, 5)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    convscope.reference.arrays.ShapeError: a kernel of 5 (dilation 1) reaches over 5 pixels, and with ...
    """
    # Python's // rounds towards −∞, so a window that is too large gives 0 or less and never 1.
    positions = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    if positions < 1:
        raise ShapeError(
            f"a kernel of {kernel} (dilation {dilation}) reaches over {dilation * (kernel - 1) + 1} pixels, "
            f"and with padding {padding} there are {size + 2 * padding}: {FORMULA} = "
            f"floor(({size} + 2*{padding} - {dilation}*{kernel - 1} - 1)/{stride}) + 1 = {positions}; "
            "give a larger image or more padding, or a smaller kernel or dilation"
        )
    return positions


def output_shape(
    size: tuple[int, int], kernel: Pair, *, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1
) -> tuple[int, int]:
    """Count the positions of a window along rows and columns.

    Args:
        size: H, W of the image in pixels.
        kernel: kH, kW, at least 1; an integer or two.
        stride: s, at least 1; an integer or two.
        padding: p, pixels on each side; an integer, two, "valid" (none) or "same" (the size stays).
        dilation: d, at least 1; an integer or two.

    Returns:
        H′, W′, each from `output_size`; with padding "same" those of the image.

    Raises:
        ShapeError: sizes that do not fit, with the formula.

    >>> output_shape((28, 20), 5, stride=(1, 2))
    (24, 8)
    >>> output_shape((28, 20), 5, padding="same")
    (28, 20)
    """
    sides = border(padding, kernel, stride=stride, dilation=dilation)
    # The border of "same" may be one pixel wider behind; one p for both sides cannot describe it.
    if isinstance(padding, str) and padding == "same":
        return size
    # `border` has refused a stride or dilation below 1 already.
    k, s, d = pair(kernel, name="kernel", at_least=1), pair(stride), pair(dilation)
    rows, columns = (
        output_size(size[axis], k[axis], stride=s[axis], padding=sides[axis][0], dilation=d[axis])
        for axis in (0, 1)
    )
    return rows, columns


def border(padding: Padding, kernel: Pair, *, stride: Pair = 1, dilation: Pair = 1) -> Sides:
    """Turn any form of padding into pixels on each side.

    An integer p stands for p on every side, "valid" for none. "same" keeps the size of the image and needs
    d(k−1) pixels in all. Where that is odd, the extra pixel comes after the image, as in PyTorch.

    Args:
        padding: an integer, two (rows, columns), "valid" or "same".
        kernel: kH, kW, at least 1; an integer or two.
        stride: s, at least 1; an integer or two.
        dilation: d, at least 1; an integer or two.

    Returns:
        ((above, below), (left, right)), in pixels.

    Raises:
        ShapeError: "same" with a stride other than 1. No padding keeps the size of an image that is walked in
            larger steps. (Keras means ⌈H/s⌉ by the word there; pass the numbers.)

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
    # H′ = H with s = 1 means H + total − d(k−1) = H. An even kernel makes the total odd.
    needed = [d[axis] * (k[axis] - 1) for axis in (0, 1)]
    return (needed[0] // 2, needed[0] - needed[0] // 2), (needed[1] // 2, needed[1] - needed[1] // 2)


def pad_images(x: Array, sides: Sides, *, value: float = 0.0) -> Array:
    """Put a border of one value around each map.

    Args:
        x: maps, N×C×H×W.
        sides: ((above, below), (left, right)), pixels.
        value: of the border: 0 for a convolution, −∞ for a maximum.

    Returns:
        The padded maps, or x itself where nothing is added.

    >>> pad_images(np.ones((1, 1, 1, 2)), ((0, 1), (1, 0)))[0, 0]
    array([[0., 1., 1.],
           [0., 0., 0.]])
    """
    (above, below), (left, right) = sides
    # No copy for p = 0: two of three convolutions of a ResNet-50 are 1×1 and pad nothing.
    if not any((above, below, left, right)):
        return x
    n, c, h, w = x.shape
    padded = np.full((n, c, above + h + below, left + w + right), value, x.dtype)
    padded[:, :, above : above + h, left : left + w] = x
    return padded


def crop_images(x: Array, sides: Sides) -> Array:
    """Cut the border off each map; this undoes `pad_images` and is its gradient.

    The border is constant, so that the loss has no gradient with respect to it.

    Args:
        x: padded maps, N×C×H×W.
        sides: ((above, below), (left, right)), pixels.

    Returns:
        The maps without the border, always a copy.

    >>> crop_images(np.arange(4.0).reshape(1, 1, 1, 4), ((0, 0), (1, 2)))
    array([[[[1.]]]])
    """
    (above, below), (left, right) = sides
    # A view would keep the padded array alive as long as its crop.
    return np.ascontiguousarray(x[:, :, above : x.shape[2] - below, left : x.shape[3] - right])
