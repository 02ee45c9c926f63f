"""Max pooling: only the largest number of each window goes on, and only it receives the gradient.

Legend: N images, C channels, H rows, W columns; kernel k, stride s, padding p, dilation d.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, as_floats, check_same
from convscope.reference.pooling.pool_windows import windows
from convscope.reference.shapes import Pair


def max_pool2d(
    x: ArrayLike,
    kernel: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> Array:
    """Take the largest number of each window.

        y[n, c, i, j] = max over (a, b) of x[n, c, i·s − p + a·d, j·s − p + b·d], a < kH and b < kW

    A pixel outside the image counts as −∞, so padding never wins. A strong output of a filter survives
    wherever in the window it lies. That gives a little invariance to shifts and costs the exact position.

    Args:
        x: maps, N×C×H×W.
        kernel: k, size of the window in pixels.
        stride: s, pixels between windows; the kernel when None.
        padding: p, pixels added on each side, at most half the kernel.
        dilation: d, pixels from one pixel of the window to the next.
        ceil_mode: keep a last window that hangs over the end; see `pool_windows`.

    Returns:
        N×C×H_out×W_out, H_out = ⌊(H + 2p − d(k−1) − 1)/s⌋ + 1, or ⌈ ⌉ with ceil mode.

    Raises:
        ShapeError: sizes that do not fit.

    >>> max_pool2d([[[[1, 2, 5], [4, 3, 0]]]], (2, 2), stride=1).tolist()
    [[[[4.0, 5.0]]]]

    Source: Riesenhuber and Poggio 1999, Nature Neuroscience 2; Zhou and Chellappa 1988.
    """
    (x,) = as_floats(x)
    where = windows(x, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    padded = where.pad(x, -np.inf)
    # −∞ is the neutral element of a maximum, as 0 is of a sum.
    y = np.full((*x.shape[:2], *where.positions), -np.inf, x.dtype)
    for place in where.pixels():
        # np.maximum passes NaN on; np.fmax would hide a diverged pixel behind its neighbours.
        np.maximum(y, padded[place], out=y)
    return y


def max_pool2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    kernel: Pair,
    *,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> Array:
    """Compute the gradient of `max_pool2d`: each window passes its dy to the pixel that won.

    Near x, y is one of the numbers of the window and does not depend on the others, so

        ∂y/∂x[m] = 1 where m = argmax, 0 elsewhere;  dx[m] = Σ dy over the windows that m won.

    Of equal numbers the first one wins, row by row, as in PyTorch; any split among them is a subgradient.

    Args:
        dy: ∂L/∂y, N×C×H_out×W_out.
        x: maps, N×C×H×W, as in `max_pool2d`, and so the rest.
        kernel: k, size of the window in pixels.
        stride: s; the kernel when None.
        padding: p, pixels added on each side.
        dilation: d, pixels from one pixel of the window to the next.
        ceil_mode: keep a last window that hangs over the end.

    Returns:
        dx, N×C×H×W.

    Raises:
        ShapeError: sizes that do not fit.

    >>> max_pool2d_backward([[[[10]]]], [[[[1, 7], [7, 2]]]], 2).tolist()
    [[[[0.0, 10.0], [0.0, 0.0]]]]
    """
    x, dy = as_floats(x, dy)
    where = windows(x, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    y = max_pool2d(x, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil_mode)
    check_same(dy.shape, y.shape, name="dy", why="that of y = max_pool2d(x, …)")
    # NaN equals nothing, so a pixel of the padding cannot be the one that won, not even against −∞.
    padded = where.pad(x, np.nan)
    dx, open_windows = np.zeros_like(padded), np.ones(y.shape, bool)
    for place in where.pixels():
        won = open_windows & (padded[place] == y)
        # Windows may overlap, but one place holds each pixel at most once, so += loses nothing.
        dx[place] += dy * won
        # A window closes with its first winner, so ties do not receive twice.
        open_windows &= ~won
    return where.crop(dx)
