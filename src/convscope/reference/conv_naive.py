"""Convolution as the loops that define it: a window, a product, a sum, for each number of the result."""

from __future__ import annotations

import numpy as np

from convscope.reference.precision import Array
from convscope.reference.shapes import output_shape
from convscope.reference.windows import Two


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
