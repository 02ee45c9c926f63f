"""Adaptive and global pooling: the caller chooses the size of the result, and the windows follow from it.

Cell i of o along an axis of H pixels covers the pixels from ⌊i·H/o⌋ up to, and without, ⌈(i+1)·H/o⌉: the
smallest run of whole pixels that holds the i-th of o equal parts. Where o does not divide H, neighbours share
a pixel. A head behind it fits every image size (He and others 2014, https://arxiv.org/abs/1406.4729, with
several such grids side by side).

Global pooling is adaptive pooling to a single cell, one number a map. It replaced dense heads: C numbers fit
every image size, and no weight belongs to a position in the image (Lin, Chen and Yan 2013, section 3.2,
https://arxiv.org/abs/1312.4400).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, as_floats, check_maps, check_same
from convscope.reference.shapes import Pair, pair

Cell = tuple[int, int, slice, slice]


def cells(shape: tuple[int, int], size: tuple[int, int]) -> Iterator[Cell]:
    """Walk through the cells of a map.

    Args:
        shape: H, W of the map in pixels.
        size: H_out, W_out, the number of cells, each at least 1.

    Yields:
        Row and column of the cell in the result, then the rows and columns of the map that it covers.

    >>> [rows for _, _, rows, _ in cells((5, 1), (2, 1))]
    [slice(0, 3, None), slice(2, 5, None)]
    """
    (h, w), (tall, wide) = shape, size
    for i in range(tall):
        # −(−a // b) is ⌈a/b⌉ in integers; a float quotient is inexact for large a.
        rows = slice(i * h // tall, -(-(i + 1) * h // tall))
        for j in range(wide):
            yield i, j, rows, slice(j * w // wide, -(-(j + 1) * w // wide))


def adaptive_avg_pool2d(x: ArrayLike, size: Pair) -> Array:
    """Take the mean of each cell: y[n, c, i, j] = mean of x[n, c] over the pixels of cell (i, j).

    Args:
        x: maps, N×C×H×W.
        size: rows and columns of the result, H_out and W_out, each at least 1; they may exceed H and W.

    Returns:
        N×C×H_out×W_out.

    Raises:
        ShapeError: x is no batch of maps, or the size is not positive.

    >>> adaptive_avg_pool2d([[[[1, 2, 6]]]], (1, 2)).tolist()
    [[[[1.5, 4.0]]]]
    """
    x, size = _checked(x, size)
    y = np.empty((*x.shape[:2], *size), x.dtype)
    for i, j, rows, columns in cells(x.shape[2:], size):
        # Cells differ in size, so one strided view cannot hold them all: H_out·W_out steps instead.
        y[:, :, i, j] = x[:, :, rows, columns].mean(axis=(2, 3))
    return y


def adaptive_avg_pool2d_backward(dy: ArrayLike, x: ArrayLike, size: Pair) -> Array:
    """Compute the gradient of `adaptive_avg_pool2d`: dx[m] = Σ dy/q over the cells with m, each of q pixels.

    Args:
        dy: ∂L/∂y, N×C×H_out×W_out.
        x: the maps of the forward pass, N×C×H×W, of which only the shape matters.
        size: rows and columns of the result, as in the forward pass.

    Returns:
        dx, N×C×H×W.

    Raises:
        ShapeError: sizes that do not fit.

    >>> adaptive_avg_pool2d_backward([[[[2, 4]]]], [[[[1, 2, 6]]]], (1, 2)).tolist()
    [[[[1.0, 3.0, 2.0]]]]
    """
    x, dy = as_floats(x, dy)
    x, size = _checked(x, size)
    check_same(dy.shape, (*x.shape[:2], *size), name="dy", why="that of y = adaptive_avg_pool2d(x, size)")
    dx = np.zeros_like(x)
    for i, j, rows, columns in cells(x.shape[2:], size):
        # A view: pixels of two cells receive from both, since the additions go into dx itself.
        covered = dx[:, :, rows, columns]
        covered += dy[:, :, i : i + 1, j : j + 1] / (covered.shape[2] * covered.shape[3])
    return dx


def adaptive_max_pool2d(x: ArrayLike, size: Pair) -> Array:
    """Take the largest number of each cell: y[n, c, i, j] = max of x[n, c] over the pixels of cell (i, j).

    Args:
        x: maps, N×C×H×W.
        size: rows and columns of the result, H_out and W_out, each at least 1; they may exceed H and W.

    Returns:
        N×C×H_out×W_out.

    Raises:
        ShapeError: x is no batch of maps, or the size is not positive.

    >>> adaptive_max_pool2d([[[[1, 2, 6]]]], (1, 2)).tolist()
    [[[[2.0, 6.0]]]]
    """
    x, size = _checked(x, size)
    y = np.empty((*x.shape[:2], *size), x.dtype)
    for i, j, rows, columns in cells(x.shape[2:], size):
        y[:, :, i, j] = x[:, :, rows, columns].max(axis=(2, 3))
    return y


def adaptive_max_pool2d_backward(dy: ArrayLike, x: ArrayLike, size: Pair) -> Array:
    """Compute the gradient of `adaptive_max_pool2d`: dx[m] = Σ dy over the cells that pixel m won.

    Of equal pixels the first one wins, row by row.

    Args:
        dy: ∂L/∂y, N×C×H_out×W_out.
        x: the maps of the forward pass, N×C×H×W.
        size: rows and columns of the result, as in the forward pass.

    Returns:
        dx, N×C×H×W.

    Raises:
        ShapeError: sizes that do not fit.

    >>> adaptive_max_pool2d_backward([[[[10, 20]]]], [[[[1, 6, 6]]]], (1, 2)).tolist()
    [[[[0.0, 30.0, 0.0]]]]
    """
    x, dy = as_floats(x, dy)
    x, size = _checked(x, size)
    check_same(dy.shape, (*x.shape[:2], *size), name="dy", why="that of y = adaptive_max_pool2d(x, size)")
    dx = np.zeros_like(x)
    n, c = np.ogrid[: x.shape[0], : x.shape[1]]
    for i, j, rows, columns in cells(x.shape[2:], size):
        # argmax over a flat cell finds the first of equal pixels, row by row.
        seen = x[:, :, rows, columns]
        row, column = np.unravel_index(seen.reshape(*x.shape[:2], -1).argmax(axis=2), seen.shape[2:])
        # One pixel a map and cell: fancy indexing repeats no element here, so += is safe.
        dx[n, c, rows.start + row, columns.start + column] += dy[:, :, i, j]
    return dx


def _checked(x: ArrayLike, size: Pair) -> tuple[Array, tuple[int, int]]:
    """The maps as floats and the size as a pair, once both fit."""
    (x,) = as_floats(x)
    check_maps(x)
    return x, pair(size, name="the size of the result", at_least=1)


def global_avg_pool2d(x: ArrayLike) -> Array:
    """Take the mean of each map, N×C×H×W → N×C.

    >>> global_avg_pool2d([[[[1, 2, 6]]]]).tolist()
    [[3.0]]
    """
    # The last two axes have length 1 and go.
    return adaptive_avg_pool2d(x, 1)[:, :, 0, 0]


def global_avg_pool2d_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """Compute the gradient of `global_avg_pool2d`: dx = dy/(H·W) at every pixel.

    Args:
        dy: ∂L/∂y, N×C.
        x: the maps of the forward pass, N×C×H×W.

    Returns:
        dx, N×C×H×W.

    Raises:
        ShapeError: sizes that do not fit.

    >>> global_avg_pool2d_backward([[6]], [[[[1, 2, 6]]]]).tolist()
    [[[[2.0, 2.0, 2.0]]]]
    """
    x, dy = as_floats(x, dy)
    check_maps(x)
    check_same(dy.shape, x.shape[:2], name="dy", why="N×C, one number a map")
    return adaptive_avg_pool2d_backward(dy[:, :, None, None], x, 1)


def global_max_pool2d(x: ArrayLike) -> Array:
    """Take the largest number of each map, N×C×H×W → N×C.

    >>> global_max_pool2d([[[[1, 2, 6]]]]).tolist()
    [[6.0]]
    """
    return adaptive_max_pool2d(x, 1)[:, :, 0, 0]


def global_max_pool2d_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """Compute the gradient of `global_max_pool2d`: dy goes to the first of the largest pixels.

    Args:
        dy: ∂L/∂y, N×C.
        x: the maps of the forward pass, N×C×H×W.

    Returns:
        dx, N×C×H×W.

    Raises:
        ShapeError: sizes that do not fit.

    >>> global_max_pool2d_backward([[6]], [[[[1, 2, 2]]]]).tolist()
    [[[[0.0, 6.0, 0.0]]]]
    """
    x, dy = as_floats(x, dy)
    check_maps(x)
    check_same(dy.shape, x.shape[:2], name="dy", why="N×C, one number a map")
    return adaptive_max_pool2d_backward(dy[:, :, None, None], x, 1)
