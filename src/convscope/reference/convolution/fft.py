"""Convolution by Fourier transform: sliding a filter over an image becomes one product a frequency.

With the transform X[f] = Σ_u x[u]·e^(−2πi·f·u/L) over L pixels, the sum y[i] = Σ_a w[a]·x[i + a] has the
transform

    Y[f] = Σ_a w[a] · Σ_i x[i + a]·e^(−2πi·f·i/L) = Σ_a w[a]·e^(+2πi·f·a/L) · X[f] = conj(W[f]) · X[f]

for real w, if i + a is counted modulo L, that is, if the image is a ring. The positions of a window have
i + a ≤ H − 1, so they never wrap around, and L = H is long enough. What a network calls convolution is
correlation; true convolution has w[−a], and W[f] without the conj.

It costs one product a pixel instead of kH·kW. That is worth it for large kernels, from about 13×13 on for 8
images of 64×56×56. For 3×3 it takes ten times as long as the matrix product; most of that goes into the
transforms, one for each channel of each filter.

Source: Mathieu, Henaff and LeCun, Fast Training of Convolutional Networks through FFTs (2013),
https://arxiv.org/abs/1312.5851
"""

from __future__ import annotations

import numpy as np

from convscope.reference.arrays import Array
from convscope.reference.convolution.sliding_window import Two, under_tap
from convscope.reference.shapes import output_shape


def conv2d_fft(x: Array, w: Array, *, stride: Two = (1, 1), dilation: Two = (1, 1), groups: int = 1) -> Array:
    """Transform, multiply, transform back: F⁻¹( Σ_c conj(F w) · F x ), with Σ_c a matrix product a frequency.

    A dilated filter is one with zeros between its taps. A stride saves nothing: all positions are computed,
    and every s-th is kept.

    Args:
        x: padded images, N×C_in×H×W.
        w: filters, C_out×(C_in/groups)×kH×kW.
        stride: s along rows and columns.
        dilation: d along rows and columns.
        groups: parts of channels and filters.

    Returns:
        N×C_out×H′×W′.

    >>> np.round(conv2d_fft(np.arange(4.0).reshape(1, 1, 1, 4), np.ones((1, 1, 1, 2))), 12)
    array([[[[1., 3., 5.]]]])
    """
    (n, c, height, width), filters = x.shape, w.shape[0]
    # Zeros behind the image do no harm: windows that reach them are cut off below.
    lengths = fast_length(height), fast_length(width)
    # A real signal has X[−f] = conj(X[f]), so the last axis needs only half of its frequencies.
    bins = lengths[0], lengths[1] // 2 + 1
    # Frequency first, so that there is a matrix N × C and a matrix C × C_out at each one, in each group.
    images = np.fft.rfft2(x, lengths).reshape(n, groups, c // groups, *bins).transpose(3, 4, 1, 0, 2)
    # conj makes it correlation. The filters are padded to L, which is why many small ones are expensive.
    taps = np.fft.rfft2(_dilated(w, dilation), lengths).conj()
    taps = taps.reshape(groups, filters // groups, c // groups, *bins).transpose(3, 4, 0, 2, 1)
    # BLAS needs contiguous matrices; for a strided operand matmul takes a slow loop without it.
    product = np.ascontiguousarray(images) @ np.ascontiguousarray(taps)
    # The sum over channels is done, so only N·C_out transforms lead back.
    y = np.fft.irfft2(product.transpose(3, 2, 4, 0, 1), lengths).reshape(n, filters, *lengths)
    rows, columns = output_shape((height, width), w.shape[2:], stride=stride, dilation=dilation)
    # The positions behind H′ are those whose window wrapped around the ring.
    return np.ascontiguousarray(under_tap(y, (0, 0), positions=(rows, columns), stride=stride))


def _dilated(w: Array, dilation: Two) -> Array:
    """The filters with d − 1 zeros between neighbouring taps."""
    extent = (d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation, strict=True))
    dilated = np.zeros((*w.shape[:2], *extent), w.dtype)
    dilated[:, :, :: dilation[0], :: dilation[1]] = w
    return dilated


def fast_length(size: int) -> int:
    """Find the smallest length from `size` on that has no prime factor above 5.

    A length with small factors splits again and again (Cooley and Tukey 1965), in L·log L operations.

    Args:
        size: pixels, at least 1.

    Returns:
        A length 2^a·3^b·5^c, less than 2·size.

    >>> fast_length(58), fast_length(31)
    (60, 32)
    """
    rest = size
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    return size if rest == 1 else fast_length(size + 1)
