"""The sliding window: the loops that define a convolution, and views that show all windows at once.

Legend: N images, C channels, kernel kH×kW with taps (a, b), result H′×W′ with positions (i, j), stride s,
dilation d. The images here are padded already.
"""

from __future__ import annotations

import numpy as np

from convscope.reference.arrays import Array
from convscope.reference.shapes import output_shape

Two = tuple[int, int]


def conv2d_naive(
    x: Array, w: Array, *, stride: Two = (1, 1), dilation: Two = (1, 1), groups: int = 1
) -> Array:
    """Convolve by seven loops: images, filters, result rows and columns; channels, filter rows and columns.

        y[n, o, i, j] = Σ_c Σ_a Σ_b w[o, c, a, b] · x[n, g·C + c, s·i + d·a, s·j + d·b]

    with C = C_in/groups channels a filter and g the group of filter o. Each number of the result costs
    C·kH·kW multiplications. One takes most of a microsecond in Python; in that time the processor can do
    fifty thousand.

    Args:
        x: padded images, N×C_in×H×W.
        w: filters, C_out×(C_in/groups)×kH×kW.
        stride: s along rows and columns.
        dilation: d along rows and columns.
        groups: parts of channels and filters; each filter sees its own part only.

    Returns:
        N×C_out×H′×W′.

    >>> conv2d_naive(np.arange(4.0).reshape(1, 1, 1, 4), np.ones((1, 1, 1, 2)))
    array([[[[1., 3., 5.]]]])
    """
    rows, columns = output_shape((x.shape[2], x.shape[3]), w.shape[2:], stride=stride, dilation=dilation)
    # N·C_out·H′·W′ results, each the sum of C·kH·kW products.
    y = np.empty((x.shape[0], w.shape[0], rows, columns), x.dtype)
    for n, o, i, j in np.ndindex(y.shape):
        # C_out/groups filters share a group, and the group's first channel is g·C.
        first = o // (w.shape[0] // groups) * w.shape[1]
        # A Python 0.0 would make the sum float64, and float32 could not be compared with the fast methods.
        total = x.dtype.type(0)
        for c, a, b in np.ndindex(w.shape[1:]):
            row, column = stride[0] * i + dilation[0] * a, stride[1] * j + dilation[1] * b
            total += w[o, c, a, b] * x[n, first + c, row, column]
        y[n, o, i, j] = total
    return y


def windows(x: Array, kernel: Two, *, stride: Two = (1, 1), dilation: Two = (1, 1)) -> Array:
    """View every window of an image: out[n, c, a, b, i, j] = x[n, c, s·i + d·a, s·j + d·b].

    The address of an element is a sum of index × step. The view lies on the same memory with other steps: s
    pixels from position to position, d from tap to tap. A pixel of nine windows appears nine times and is in
    memory once.

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
    # The pixels that a window covers, taps and gaps: d(k − 1) + 1.
    extent = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, extent, axis=(2, 3))
    # The dense view has a window at every pixel and a tap at every pixel; slicing keeps every s-th and d-th.
    view = view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]
    return view.transpose(0, 1, 4, 5, 2, 3)


def under_tap(x: Array, tap: Two, *, positions: Two, stride: Two = (1, 1), dilation: Two = (1, 1)) -> Array:
    """View the pixels that one tap meets in all windows: out[n, c, i, j] = x[n, c, s·i + d·a, s·j + d·b].

    Unlike `windows` the view has each pixel at most once, so that a sum may be written into it.

    Args:
        x: padded images, N×C×H×W.
        tap: (a, b), row and column in the kernel.
        positions: H′, W′, the number of windows.
        stride: s along rows and columns.
        dilation: d along rows and columns.

    Returns:
        N×C×H′×W′, writable where x is.

    >>> under_tap(np.arange(6.0).reshape(1, 1, 1, 6), (0, 1), positions=(1, 2), stride=(1, 3))
    array([[[[1., 4.]]]])
    """
    # Start d·a, one step of s for each window, and no pixel of a next one.
    rows, columns = (
        slice(d * a, d * a + s * count, s)
        for a, count, s, d in zip(tap, positions, stride, dilation, strict=True)
    )
    return x[:, :, rows, columns]
