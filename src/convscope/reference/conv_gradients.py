"""The two gradients of a convolution, in the matrices of im2col; both serve the transposed convolution as
well.
"""

from __future__ import annotations

import numpy as np

from convscope.reference.conv_im2col import column_blocks, filter_matrix, row_blocks
from convscope.reference.precision import Array
from convscope.reference.windows import Two, under_tap, windows


def weight_gradient(
    dy: Array, x: Array, kernel: Two, *, stride: Two = (1, 1), dilation: Two = (1, 1), groups: int = 1
) -> Array:
    """The gradient of the filters, dY · colsᵀ.

    Y = W·cols is Y[o, p] = Σ_q W[o, q]·cols[q, p], hence ∂L/∂W[o, q] = Σ_p dY[o, p]·cols[q, p], a matrix
    product again. Spelt out, ∂L/∂w[o, c, a, b] = Σ_n Σ_i Σ_j dy[n, o, i, j] · x[n, c, s·i + d·a, s·j + d·b]:
    a tap answers for each pixel that it met, times what came of it.

    Args:
        dy: ∂L/∂y, N×C_out×H′×W′.
        x: padded images, N×C_in×H×W.
        kernel: kH, kW.
        stride: s along rows and columns.
        dilation: d along rows and columns.
        groups: parts that channels and filters are divided into.

    Returns:
        C_out×(C_in/groups)×kH×kW.

    >>> weight_gradient(np.ones((1, 1, 1, 3)), np.arange(4.0).reshape(1, 1, 1, 4), (1, 2))
    array([[[[3., 6.]]]])
    """
    filters, channels = dy.shape[1], x.shape[1] // groups
    dw = np.zeros((groups, filters // groups, channels * kernel[0] * kernel[1]), dy.dtype)
    view = windows(x, kernel, stride=stride, dilation=dilation)
    for images, rows, cols in column_blocks(view, groups):
        dw += result_matrix(dy[images, :, rows], groups) @ cols.swapaxes(1, 2)
    return dw.reshape(filters, channels, *kernel)


def input_gradient(
    dy: Array, w: Array, size: Two, *, stride: Two = (1, 1), dilation: Two = (1, 1), groups: int = 1
) -> Array:
    """The gradient of the images, Wᵀ · dY, each number added to the pixel that it was copied from (col2im).

    From Y = W·cols follows ∂L/∂cols[q, p] = Σ_o W[o, q]·dY[o, p]. A pixel that was copied into several
    columns moves L through all of them, so that its gradient is the sum of theirs:

        ∂L/∂x[n, c, u, v] = Σ_a Σ_b Σ_o w[o, c, a, b] · dy[n, o, i, j]   where s·i + d·a = u and s·j + d·b = v

    Args:
        dy: ∂L/∂y, N×C_out×H′×W′.
        w: filters, C_out×(C_in/groups)×kH×kW.
        size: H, W of the padded images.
        stride: s along rows and columns.
        dilation: d along rows and columns.
        groups: parts that channels and filters are divided into.

    Returns:
        N×C_in×H×W, of the padded images.

    >>> input_gradient(np.ones((1, 1, 1, 3)), np.array([[[[1.0, 10.0]]]]), (1, 4))
    array([[[[ 1., 11., 11., 10.]]]])
    """
    (n, _, rows, columns), channels, kernel = dy.shape, w.shape[1] * groups, w.shape[2:]
    dx = np.zeros((n, channels, *size), dy.dtype)
    matrix = filter_matrix(w, groups).swapaxes(1, 2)
    for images, part in row_blocks(n, rows, channels * kernel[0] * kernel[1] * columns * dy.itemsize):
        dcols = matrix @ result_matrix(dy[images, :, part], groups)
        pixels = dx[images, :, part.start * stride[0] :].swapaxes(0, 1)
        dcols = dcols.reshape(channels, *kernel, pixels.shape[1], -1, columns)
        for tap in np.ndindex(*kernel):
            met = under_tap(pixels, tap, places=dcols.shape[4:], stride=stride, dilation=dilation)
            met += dcols[:, *tap]
    return dx


def result_matrix(dy: Array, groups: int) -> Array:
    """Results images × C_out × rows × W′ in the order of the matrices: groups × C_out/groups ×
    images·rows·W′.
    """
    return dy.swapaxes(0, 1).reshape(groups, dy.shape[1] // groups, -1)
