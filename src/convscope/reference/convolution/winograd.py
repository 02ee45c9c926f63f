"""Winograd's convolution F(2×2, 3×3): four results from 16 multiplications instead of 36.

Two neighbouring results of three taps, y₀ = d₀g₀ + d₁g₁ + d₂g₂ and y₁ = d₁g₀ + d₂g₁ + d₃g₂, are six products.
Four are enough:

    m₁ = (d₀ − d₂)·g₀                        y₀ = m₁ + m₂ + m₃
    m₂ = (d₁ + d₂)·(g₀ + g₁ + g₂)/2          y₁ = m₂ − m₃ − m₄
    m₃ = (d₂ − d₁)·(g₀ − g₁ + g₂)/2
    m₄ = (d₁ − d₃)·g₂

because m₂ + m₃ = d₁g₁ + d₂(g₀ + g₂) and m₂ − m₃ = d₁(g₀ + g₂) + d₂g₁. As matrices this is
y = Aᵀ[(G g) ∘ (Bᵀ d)], with ∘ elementwise. Along the rows and then along the columns it is
Y = Aᵀ[(G g Gᵀ) ∘ (Bᵀ d B)]A for a tile d of 4×4 pixels. Tiles lie two pixels apart and overlap by two.

The sum over channels may be taken before Aᵀ, because Aᵀ is linear. Then ∘ becomes 16 matrix products, C_out×C
by C×tiles, one for each element of a tile: 4/9 of the multiplications of im2col. The filters are transformed
once. Larger tiles save more and round worse: F(4×4, 3×3) multiplies by numbers up to 8 and loses a digit of
float32.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015), section 4.1,
https://arxiv.org/abs/1509.09308; Winograd, Arithmetic Complexity of Computations (1980).
"""

from __future__ import annotations

import numpy as np

from convscope.reference.arrays import Array, ShapeError
from convscope.reference.convolution.im2col import row_blocks
from convscope.reference.convolution.sliding_window import Two, windows
from convscope.reference.shapes import pad_images

# Bᵀ and Aᵀ hold 0 and ±1 alone: transforming a tile and its result costs additions and no multiplication.
B_T = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
A_T = np.array([[1, 1, 1, 0], [0, 1, -1, -1]])


def conv2d_winograd(
    x: Array, w: Array, *, stride: Two = (1, 1), dilation: Two = (1, 1), groups: int = 1
) -> Array:
    """Compute Y = Aᵀ[ Σ_c (G g Gᵀ) ∘ (Bᵀ d B) ]A for each tile of 2×2 results.

    Args:
        x: padded images, N×C_in×H×W.
        w: filters, C_out×(C_in/groups)×3×3.
        stride: (1, 1).
        dilation: (1, 1).
        groups: parts of channels and filters.

    Returns:
        N×C_out×(H − 2)×(W − 2).

    Raises:
        ShapeError: another kernel, stride or dilation.

    >>> conv2d_winograd(np.arange(16.0).reshape(1, 1, 4, 4), np.ones((1, 1, 3, 3)))
    array([[[[45., 54.],
             [81., 90.]]]])
    """
    _check(w, stride, dilation)
    (n, channels, height, width), filters = x.shape, w.shape[0]
    # ⌈(H − 2)/2⌉ tiles, each with two rows of results.
    rows, columns = (height - 1) // 2, (width - 1) // 2
    # Where a side of the result is odd, a row or column of zeros completes the last tiles.
    tiles = windows(pad_images(x, ((0, height % 2), (0, width % 2))), (4, 4), stride=(2, 2))
    y = np.empty((n, filters, 2 * rows, 2 * columns), x.dtype)
    # Row by row, the 16 numbers of Bᵀ d B are (Bᵀ ⊗ Bᵀ)·d: one matrix for all tiles, and so for G and A.
    to_filter, to_tile, to_result = (np.kron(m, m).astype(x.dtype) for m in (G, B_T, A_T))
    u = (to_filter @ w.reshape(-1, 9).T).reshape(16, groups, filters // groups, channels // groups)
    # A tile row keeps 16 numbers a channel and 16 a filter, first transformed and then as a product.
    for images, part in row_blocks(n, rows, 2 * 16 * (channels + filters) * columns * x.itemsize):
        d = tiles[images, ..., part, :].transpose(2, 3, 1, 0, 4, 5)
        # Bᵀ d B needs 32 additions a tile (Lavin and Gray 2015); here they are one matrix product.
        v = (to_tile @ d.reshape(16, -1)).reshape(16, groups, channels // groups, -1)
        # Σ_c as 16 matrix products, then Aᵀ·A: 4 results a tile.
        m = (to_result @ (u @ v).reshape(16, -1)).reshape(2, 2, filters, *d.shape[3:])
        for i, j in np.ndindex(2, 2):
            y[images, :, 2 * part.start + i : 2 * part.stop : 2, j::2] = m[i, j].swapaxes(0, 1)
    # H′ = H − 2 may be odd: half of the last tile row is then no result.
    return np.ascontiguousarray(y[:, :, : height - 2, : width - 2])


def _check(w: Array, stride: Two, dilation: Two) -> None:
    """Refuse what F(2×2, 3×3) does not cover: with stride 2 neighbouring results share one pixel, not two."""
    if w.shape[2:] != (3, 3) or stride != (1, 1) or dilation != (1, 1):
        raise ShapeError(
            'method "winograd" is F(2×2, 3×3): kernel 3×3, stride 1, dilation 1; given: kernel '
            f'{w.shape[2]}×{w.shape[3]}, stride {stride}, dilation {dilation}; method "im2col" takes any'
        )
