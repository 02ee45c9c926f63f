"""Convolution as one matrix product: the windows are columns side by side, the filters are rows.

    cols[(c, a, b), (n, i, j)] = x[n, c, s·i + d·a, s·j + d·b]        C·kH·kW × N·H′·W′
    W[o, (c, a, b)]            = w[o, c, a, b]                        C_out × C·kH·kW
    Y = W · cols                                                      C_out × N·H′·W′

The sum is that of the loops. Written so, it is the product that matrix libraries have been tuned for since
1979. The price is memory: with a 3×3 kernel each pixel is written nine times. So only as many columns are
made at a time as stay in the processor's cache; they are multiplied there, and the next ones overwrite them.

Both gradients are matrix products as well. They also serve the transposed convolution.

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
    """Compute the product W · cols, block by block; with groups one product for each.

    Args:
        x: padded images, N×C_in×H×W.
        w: filters, C_out×(C_in/groups)×kH×kW.
        stride: s along rows and columns.
        dilation: d along rows and columns.
        groups: parts of channels and filters.

    Returns:
        N×C_out×H′×W′.

    >>> conv2d_im2col(np.arange(4.0).reshape(1, 1, 1, 4), np.ones((1, 1, 1, 2)))
    array([[[[1., 3., 5.]]]])
    """
    view = windows(x, (w.shape[2], w.shape[3]), stride=stride, dilation=dilation)
    # Only the result is made as a whole; the columns would take kH·kW times the memory of the images.
    y = np.empty((x.shape[0], w.shape[0], *view.shape[4:]), x.dtype)
    matrix = filter_matrix(w, groups)
    for images, rows, cols in column_blocks(view, groups):
        block = y[images, :, rows].swapaxes(0, 1)
        if block.shape[1] == 1:
            # The rows of one image lie in order already; writing them where they belong saves 4 % of the
            # time.
            np.matmul(matrix, cols, out=block.reshape(groups, -1, cols.shape[2]))
        else:
            block[...] = (matrix @ cols).reshape(block.shape)
    return y


def weight_gradient(
    dy: Array, x: Array, kernel: Two, *, stride: Two = (1, 1), dilation: Two = (1, 1), groups: int = 1
) -> Array:
    """Compute the gradient of the filters, dY · colsᵀ.

    Y = W·cols is Y[o, p] = Σ_q W[o, q]·cols[q, p]. Hence ∂L/∂W[o, q] = Σ_p dY[o, p]·cols[q, p], a matrix
    product again. Spelt out, ∂L/∂w[o, c, a, b] = Σ_n Σ_i Σ_j dy[n, o, i, j] · x[n, c, s·i + d·a, s·j + d·b]:
    a tap sums the pixels that it met, each times the gradient of the output there.

    Args:
        dy: ∂L/∂y, N×C_out×H′×W′.
        x: padded images, N×C_in×H×W.
        kernel: kH, kW.
        stride: s along rows and columns.
        dilation: d along rows and columns.
        groups: parts of channels and filters.

    Returns:
        C_out×(C_in/groups)×kH×kW.

    >>> weight_gradient(np.ones((1, 1, 1, 3)), np.arange(4.0).reshape(1, 1, 1, 4), (1, 2))
    array([[[[3., 6.]]]])
    """
    filters, channels = dy.shape[1], x.shape[1] // groups
    # A weight is shared by all positions, so the blocks add up: dW = Σ dY·colsᵀ over the blocks.
    dw = np.zeros((groups, filters // groups, channels * kernel[0] * kernel[1]), dy.dtype)
    view = windows(x, kernel, stride=stride, dilation=dilation)
    for images, rows, cols in column_blocks(view, groups):
        dw += result_matrix(dy[images, :, rows], groups) @ cols.swapaxes(1, 2)
    return dw.reshape(filters, channels, *kernel)


def input_gradient(
    dy: Array, w: Array, size: Two, *, stride: Two = (1, 1), dilation: Two = (1, 1), groups: int = 1
) -> Array:
    """Compute the gradient of the images, Wᵀ · dY, and add each number to the pixel of its column (col2im).

    From Y = W·cols follows ∂L/∂cols[q, p] = Σ_o W[o, q]·dY[o, p]. A pixel that was copied into several
    columns changes L through all of them, so that its gradient is the sum of theirs:

        ∂L/∂x[n, c, u, v] = Σ_a Σ_b Σ_o w[o, c, a, b] · dy[n, o, i, j]   where s·i + d·a = u and s·j + d·b = v

    Args:
        dy: ∂L/∂y, N×C_out×H′×W′.
        w: filters, C_out×(C_in/groups)×kH×kW.
        size: H, W of the padded images.
        stride: s along rows and columns.
        dilation: d along rows and columns.
        groups: parts of channels and filters.

    Returns:
        N×C_in×H×W, of the padded images.

    >>> input_gradient(np.ones((1, 1, 1, 3)), np.array([[[[1.0, 10.0]]]]), (1, 4))
    array([[[[ 1., 11., 11., 10.]]]])
    """
    (n, _, rows, columns), channels, kernel = dy.shape, w.shape[1] * groups, w.shape[2:]
    dx = np.zeros((n, channels, *size), dy.dtype)
    matrix = filter_matrix(w, groups).swapaxes(1, 2)
    for images, part in row_blocks(n, rows, channels * kernel[0] * kernel[1] * columns * dy.itemsize):
        # ∂L/∂cols = Wᵀ·dY, one block at a time.
        dcols = matrix @ result_matrix(dy[images, :, part], groups)
        # Result row i starts at image row s·i, so a block's pixels start there as well.
        pixels = dx[images, :, part.start * stride[0] :].swapaxes(0, 1)
        dcols = dcols.reshape(channels, *kernel, pixels.shape[1], -1, columns)
        # One tap meets each pixel at most once. `+=` over all windows together would drop repeated pixels.
        for tap in np.ndindex(*kernel):
            met = under_tap(pixels, tap, positions=dcols.shape[4:], stride=stride, dilation=dilation)
            met += dcols[:, *tap]
    return dx


def filter_matrix(w: Array, groups: int) -> Array:
    """Write the filters as rows, a matrix for each group.

    Args:
        w: filters, C_out×(C_in/groups)×kH×kW.
        groups: parts of channels and filters.

    Returns:
        W, groups × C_out/groups × C·kH·kW.
    """
    matrix = w.reshape(groups, w.shape[0] // groups, -1)
    # Stored column by column: BLAS then reads it 8 % faster.
    return np.ascontiguousarray(matrix.swapaxes(1, 2)).swapaxes(1, 2)


def result_matrix(dy: Array, groups: int) -> Array:
    """Write the results of a block in the order of the columns.

    Args:
        dy: images × C_out × rows × W′.
        groups: parts of the filters.

    Returns:
        dY, groups × C_out/groups × images·rows·W′.
    """
    return dy.swapaxes(0, 1).reshape(groups, dy.shape[1] // groups, -1)


def column_blocks(view: Array, groups: int) -> Iterator[tuple[slice, slice, Array]]:
    """Make the columns of all images, a block that fits the cache at a time, always in the same memory.

    Args:
        view: the windows, N×C×kH×kW×H′×W′.
        groups: parts of the channels.

    Yields:
        The images and the rows of the result, as slices, and their columns, groups × C/groups·kH·kW ×
        images·rows·W′. The next block overwrites the columns.
    """
    n, c, *kernel, rows, columns = view.shape
    column = c * math.prod(kernel)
    memory = np.empty(0, view.dtype)
    for images, part in row_blocks(n, rows, column * columns * view.itemsize):
        block = view[images, ..., part, :].transpose(1, 2, 3, 0, 4, 5)
        # The first block is the largest, so its memory holds all later ones.
        memory = memory if memory.size else np.empty(block.size, view.dtype)
        cols = memory[: block.size].reshape(block.shape)
        np.copyto(cols, block)
        # A group owns neighbouring channels, hence neighbouring rows of the matrix.
        yield images, part, cols.reshape(groups, column // groups, -1)


def row_blocks(images: int, rows: int, bytes_a_row: int) -> Iterator[tuple[slice, slice]]:
    """Cut N images of H′ rows into blocks that fit the cache: several images, or some rows of one.

    Args:
        images: N, at least 0.
        rows: H′, rows of the result, at least 1.
        bytes_a_row: bytes that one row of the result needs in the cache, at least 1.

    Yields:
        The images and the rows of a block, as slices. A row that exceeds the cache is a block by itself.

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
