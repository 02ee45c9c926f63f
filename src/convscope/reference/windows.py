"""Views on a padded image: every window at once, or the pixels under one tap of all windows. Nothing is
copied.
"""

from __future__ import annotations

import numpy as np

from convscope.reference.precision import Array

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
