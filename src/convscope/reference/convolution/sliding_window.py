"""Views on a padded image: every window at once, or the pixels under one tap of all windows. Nothing is
copied.
"""

from __future__ import annotations

import numpy as np

from convscope.reference.arrays import Array
from convscope.reference.shapes import output_shape

Two = tuple[int, int]


def windows(x: Array, kernel: Two, *, stride: Two = (1, 1), dilation: Two = (1, 1)) -> Array:
    """Every window of a padded image, as a view: out[n, c, a, b, i, j] = x[n, c, s·i + d·a, s·j + d·b].

    An address in memory is a sum of index × step. The view lies on the same memory with other steps: s pixels
    from place to place, d from tap to tap. A pixel of nine windows is there nine times, and in memory once.

    Args:
        x: padded images, N×C×H×W.
        kernel: kH, kW.
        stride: s along rows and columns.
        dilation: d along rows and columns.

    Returns:
        N×C×kH×kW×H′×W′, read-only.

    >>> windows(np.arange(4.0).reshape(1, 1, 1, 4), (1, 2))[0, 0, 0]
    array([[[0., 1., 2.]],
    <BLANKLINE>
           [[1., 2., 3.]]])
    """
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3))
    view = view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return view.transpose(0, 1, 4, 5, 2, 3)


def under_tap(x: Array, tap: Two, *, places: Two, stride: Two = (1, 1), dilation: Two = (1, 1)) -> Array:
    """The pixels that one tap meets, window by window, as a view that can be written: x[n, c, s·i + d·a, s·j
    + d·b].

    Args:
        x: padded images, N×C×H×W.
        tap: (a, b), row and column in the kernel.
        places: H′, W′, the number of windows.
        stride: s along rows and columns.
        dilation: d along rows and columns.

    >>> under_tap(np.arange(6.0).reshape(1, 1, 1, 6), (0, 1), places=(1, 2), stride=(1, 3))
    array([[[[1., 4.]]]])
    """
    rows, columns = (
        slice(d * a, d * a + s * count, s)
        for a, count, s, d in zip(tap, places, stride, dilation, strict=True)
    )
    return x[:, :, rows, columns]


# MERGED conv_naive
"""Convolution as the loops that define it: a window, a product, a sum, for each number of the result."""


def conv2d_naive(
    x: Array, w: Array, *, stride: Two = (1, 1), dilation: Two = (1, 1), groups: int = 1
) -> Array:
    """Seven loops: images, filters, rows and columns of the result; channels, rows and columns of the filter.

        y[n, o, i, j] = Σ_c Σ_a Σ_b w[o, c, a, b] · x[n, g·C + c, s·i + d·a, s·j + d·b]

    with C = C_in/groups channels a filter and g the group that filter o belongs to. Each number of the result
    costs C·kH·kW multiplications; in Python one takes most of a microsecond, in which the processor can do
    fifty thousand.

    Args:
        x: padded images, N×C_in×H×W.
        w: filters, C_out×(C_in/groups)×kH×kW.
        stride: s along rows and columns.
        dilation: d along rows and columns.
        groups: parts that channels and filters are divided into, each filter seeing its own part only.

    Returns:
        N×C_out×H′×W′.

    >>> conv2d_naive(np.arange(4.0).reshape(1, 1, 1, 4), np.ones((1, 1, 1, 2)))
    array([[[[1., 3., 5.]]]])
    """
    rows, columns = output_shape((x.shape[2], x.shape[3]), w.shape[2:], stride=stride, dilation=dilation)
    y = np.empty((x.shape[0], w.shape[0], rows, columns), x.dtype)
    for n, o, i, j in np.ndindex(y.shape):
        first = o // (w.shape[0] // groups) * w.shape[1]
        total = x.dtype.type(0)
        for c, a, b in np.ndindex(w.shape[1:]):
            row, column = stride[0] * i + dilation[0] * a, stride[1] * j + dilation[1] * b
            total += w[o, c, a, b] * x[n, first + c, row, column]
        y[n, o, i, j] = total
    return y
