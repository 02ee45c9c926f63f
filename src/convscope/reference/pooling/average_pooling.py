"""Average pooling: the mean of each window; every pixel in it receives the same part of the gradient.

Legend: N images, C channels, H rows, W columns; kernel k, stride s, padding p.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, as_floats, check_same
from convscope.reference.pooling.pool_windows import Windows, windows
from convscope.reference.shapes import Pair


def avg_pool2d(
    x: ArrayLike,
    kernel: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Take the mean of each window.

        y[n, c, i, j] = 1/q · Σ over (a, b) of x[n, c, i·s − p + a, j·s − p + b], a < kH and b < kW

    A pixel outside the image counts as 0 in the sum. q is the number of pixels of the window: all of them
    with `count_include_pad`, else those inside the image. What hangs over the padding in ceil mode never
    counts.

    Args:
        x: maps, N×C×H×W.
        kernel: k, size of the window in pixels.
        stride: s, pixels between windows; the kernel when None.
        padding: p, pixels of 0 added on each side, at most half the kernel.
        ceil_mode: keep a last window that hangs over the end; see `pool_windows`.
        count_include_pad: let the pixels of the padding count in q.

    Returns:
        N×C×H_out×W_out, H_out = ⌊(H + 2p − k)/s⌋ + 1, or ⌈ ⌉ with ceil mode.

    Raises:
        ShapeError: sizes that do not fit.

    >>> x = [[[[1, 2], [3, 6]]]]
    >>> avg_pool2d(x, 2).item(), avg_pool2d(x, 2, padding=1, count_include_pad=False)[0, 0, 0, 0].item()
    (3.0, 1.0)

    Source: LeCun and others 1998, Proceedings of the IEEE 86, where it is called sub-sampling.
    """
    (x,) = as_floats(x)
    where = windows(x, kernel, stride=stride, padding=padding, ceil_mode=ceil_mode)
    # 0 is the neutral element of a sum.
    padded = where.pad(x, 0.0)
    total = np.zeros((*x.shape[:2], *where.positions), x.dtype)
    for place in where.pixels():
        total += padded[place]
    # Sum first, divide once: one rounding fewer a pixel than a sum of x/q.
    y: Array = total / _counts(where, count_include_pad).astype(x.dtype)
    return y


def avg_pool2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    kernel: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """Compute the gradient of `avg_pool2d`: dy/q of each window, added at every pixel that it saw.

    y is linear in x with the coefficient 1/q for each pixel of the window, so dx[m] = Σ dy/q over the windows
    with m.

    Args:
        dy: ∂L/∂y, N×C×H_out×W_out.
        x: maps, N×C×H×W, as in `avg_pool2d`, and so the rest; of x only the shape matters.
        kernel: k, size of the window in pixels.
        stride: s; the kernel when None.
        padding: p, pixels of 0 added on each side.
        ceil_mode: keep a last window that hangs over the end.
        count_include_pad: let the pixels of the padding count in q.

    Returns:
        dx, N×C×H×W.

    Raises:
        ShapeError: sizes that do not fit.

    >>> avg_pool2d_backward([[[[8]]]], [[[[1, 2], [3, 6]]]], 2).tolist()
    [[[[2.0, 2.0], [2.0, 2.0]]]]
    """
    x, dy = as_floats(x, dy)
    where = windows(x, kernel, stride=stride, padding=padding, ceil_mode=ceil_mode)
    check_same(dy.shape, (*x.shape[:2], *where.positions), name="dy", why="that of y = avg_pool2d(x, …)")
    part = dy / _counts(where, count_include_pad).astype(x.dtype)
    dx = np.zeros_like(where.pad(x, 0.0))
    for place in where.pixels():
        dx[place] += part
    # The padding received its part as well; it is a constant, so the crop drops that.
    return where.crop(dx)


def _counts(where: Windows, count_include_pad: bool) -> Array:
    """The q of each position, H_out×W_out: the pixels of the window that count."""
    counted = []
    for axis in (0, 1):
        size, pad = where.size[axis], where.padding[axis]
        begin = np.arange(where.positions[axis]) * where.stride[axis] - pad
        # Ceil mode may hang over the padding; those pixels do not exist and never count.
        end = np.minimum(begin + where.kernel[axis], size + pad)
        counted.append(end - begin if count_include_pad else np.minimum(end, size) - np.maximum(begin, 0))
    # A window is a rectangle, so its pixels are rows × columns.
    return np.outer(*counted)
