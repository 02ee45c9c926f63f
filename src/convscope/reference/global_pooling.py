"""Global pooling: one number a map, which is adaptive pooling to a single cell.

It took the place of dense heads: C numbers fit every image size, and no weight belongs to a place in the
image (Lin, Chen and Yan 2013, arXiv 1312.4400).
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from convscope.reference.adaptive_pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
)
from convscope.reference.precision import Array, as_floats
from convscope.reference.shapes import check_maps, check_same


def global_avg_pool2d(x: ArrayLike) -> Array:
    """The mean of each map, N×C×H×W → N×C.

    >>> global_avg_pool2d([[[[1, 2, 6]]]]).tolist()
    [[3.0]]
    """
    return adaptive_avg_pool2d(x, 1)[:, :, 0, 0]


def global_avg_pool2d_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """The gradient of `global_avg_pool2d`: dx = dy/(H·W) at every pixel; dy N×C, dx N×C×H×W.

    >>> global_avg_pool2d_backward([[6]], [[[[1, 2, 6]]]]).tolist()
    [[[[2.0, 2.0, 2.0]]]]
    """
    x, dy = as_floats(x, dy)
    check_maps(x)
    check_same(dy.shape, x.shape[:2], name="dy", why="N×C, one number a map")
    return adaptive_avg_pool2d_backward(dy[:, :, None, None], x, 1)


def global_max_pool2d(x: ArrayLike) -> Array:
    """The largest number of each map, N×C×H×W → N×C.

    >>> global_max_pool2d([[[[1, 2, 6]]]]).tolist()
    [[6.0]]
    """
    return adaptive_max_pool2d(x, 1)[:, :, 0, 0]


def global_max_pool2d_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """The gradient of `global_max_pool2d`: dy goes to the first of the largest pixels; dy N×C, dx N×C×H×W.

    >>> global_max_pool2d_backward([[6]], [[[[1, 2, 2]]]]).tolist()
    [[[[0.0, 6.0, 0.0]]]]
    """
    x, dy = as_floats(x, dy)
    check_maps(x)
    check_same(dy.shape, x.shape[:2], name="dy", why="N×C, one number a map")
    return adaptive_max_pool2d_backward(dy[:, :, None, None], x, 1)
