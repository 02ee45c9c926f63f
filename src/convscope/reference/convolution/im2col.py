"""Convolution as one matrix product: the windows are written side by side as columns, the filters as rows.

    cols[(c, a, b), (n, i, j)] = x[n, c, s·i + d·a, s·j + d·b]        C·kH·kW × N·H′·W′
    W[o, (c, a, b)]            = w[o, c, a, b]                        C_out × C·kH·kW
    Y = W · cols                                                      C_out × N·H′·W′

The sum is the one of the loops; written so, it is the product that matrix libraries have been tuned for since
1979. The price is memory: with a 3×3 kernel each pixel is written nine times. So only as many columns are
made at a time as stay in the processor's cache; they are multiplied there and overwritten by the next.

Source: Chellapilla, Puri and Simard, High Performance Convolutional Neural Networks for Document Processing
(2006).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from convscope.reference.arrays import Array
from convscope.reference.convolution.sliding_window import Two, under_tap, windows

# Bytes of columns at a time, about a core's second-level cache: 33 ms for the layer of
# benchmarks/convolution.py, where 8 MiB took 36 and half a MiB 34.
CACHE = 2 << 20


def conv2d_im2col(
    x: Array, w: Array, *, stride: Two = (1, 1), dilation: Two = (1, 1), groups: int = 1
) -> Array:
    """The product W · cols, block by block; with groups one product for each.

    Args:
        x: padded images, N×C_in×H×W.
        w: filters, C_out×(C_in/groups)×kH×kW.
        stride: s along rows and columns.
        dilation: d along rows and columns.
        groups: parts that channels and filters are divided into.

    Returns:
        N×C_out×H′×W′.

    >>> conv2d_im2col(np.arange(4.0).reshape(1, 1, 1, 4), np.ones((1, 1, 1, 2)))
    array([[[[1., 3., 5.]]]])
    """
    view = windows(x, (w.shape[2], w.shape[3]), stride=stride, dilation=dilation)
    y = np.empty((x.shape[0], w.shape[0], *view.shape[4:]), x.dtype)
    matrix = filter_matrix(w, groups)
    for images, rows, cols in column_blocks(view, groups):
        block = y[images, :, rows].swapaxes(0, 1)
        if block.shape[1] == 1:
            # The rows of one image lie in order already: written where they belong, 4 % of the time is saved.
            np.matmul(matrix, cols, out=block.reshape(groups, -1, cols.shape[2]))
        else:
            block[...] = (matrix @ cols).reshape(block.shape)
    return y


def filter_matrix(w: Array, groups: int) -> Array:
    """W for each group: groups × C_out/groups × C·kH·kW, stored column by column (BLAS then reads it 8 %
    faster).
    """
    matrix = w.reshape(groups, w.shape[0] // groups, -1)
    return np.ascontiguousarray(matrix.swapaxes(1, 2)).swapaxes(1, 2)


def column_blocks(view: Array, groups: int) -> Iterator[tuple[slice, slice, Array]]:
    """The columns of all images, a block that fits the cache at a time, always in the same memory.

    Args:
        view: the windows, N×C×kH×kW×H′×W′.
        groups: parts that the channels are divided into.

    Yields:
        which images and which rows of the result, and their columns, groups × C/groups·kH·kW ×
        images·rows·W′, to be used before the next block is asked for.
    """
    n, c, *kernel, rows, columns = view.shape
    column = c * math.prod(kernel)
    memory = np.empty(0, view.dtype)
    for images, part in row_blocks(n, rows, column * columns * view.itemsize):
        block = view[images, ..., part, :].transpose(1, 2, 3, 0, 4, 5)
        # The first block is the largest.
        memory = memory if memory.size else np.empty(block.size, view.dtype)
        cols = memory[: block.size].reshape(block.shape)
        np.copyto(cols, block)
        yield images, part, cols.reshape(groups, column // groups, -1)


def row_blocks(images: int, rows: int, bytes_a_row: int) -> Iterator[tuple[slice, slice]]:
    """Cut N images of H′ rows into blocks that fit the cache: several images, or some rows of one.

    >>> [(n.start, n.stop, r.start, r.stop) for n, r in row_blocks(2, 3, CACHE // 2)]
    [(0, 1, 0, 2), (0, 1, 2, 3), (1, 2, 0, 2), (1, 2, 2, 3)]
    >>> [(n.start, n.stop, r.start, r.stop) for n, r in row_blocks(3, 2, CACHE // 4)]
    [(0, 2, 0, 2), (2, 3, 0, 2)]
    """
    fitting = max(1, CACHE // bytes_a_row)
    # As many rows in each: 16, 16, 16 and 8 took 7 % longer than 14 each, since thin products are slow.
    several, part = max(1, fitting // rows), math.ceil(rows / math.ceil(rows / fitting))
    for image in range(0, images, several):
        for row in range(0, rows, part):
            yield slice(image, min(image + several, images)), slice(row, min(row + part, rows))


# MERGED conv_gradients
"""The two gradients of a convolution, in the matrices of im2col; both serve the transposed convolution as
well.
"""


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
