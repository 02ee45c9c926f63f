"""Convolution by Fourier transform: sliding a filter over an image becomes one product a frequency.

With the transform X[f] = Σ_u x[u]·e^(−2πi·f·u/L) over L pixels, the sum y[i] = Σ_a w[a]·x[i + a] has the
transform

    Y[f] = Σ_a w[a] · Σ_i x[i + a]·e^(−2πi·f·i/L) = Σ_a w[a]·e^(+2πi·f·a/L) · X[f] = conj(W[f]) · X[f]

for real w, if i + a is counted modulo L: the image is taken as a ring. The places that a window may stand on
have i + a ≤ H − 1, so they never come round, and L = H is long enough. What a network calls convolution is
correlation; true convolution has w[−a], and W[f] without the conj.

A product a pixel instead of kH·kW: worth it for large kernels, from about 13×13 on for 8 images of 64×56×56.
For 3×3 it takes ten times as long as the matrix product, most of it for the transforms, one for each channel
of each filter.

Source: Mathieu, Henaff and LeCun, Fast Training of Convolutional Networks through FFTs (2013).
"""

from __future__ import annotations

import numpy as np

from convscope.reference.arrays import Array
from convscope.reference.convolution.sliding_window import Two, under_tap
from convscope.reference.shapes import output_shape


def conv2d_fft(x: Array, w: Array, *, stride: Two = (1, 1), dilation: Two = (1, 1), groups: int = 1) -> Array:
    """Transform, multiply, transform back: F⁻¹( Σ_c conj(F w) · F x ); Σ_c is a matrix product at each
    frequency.

    A dilated filter is one with zeros between its taps; of a strided result all places are computed and some
    are kept.

    Args:
        x: padded images, N×C_in×H×W.
        w: filters, C_out×(C_in/groups)×kH×kW.
        stride: s along rows and columns.
        dilation: d along rows and columns.
        groups: parts that channels and filters are divided into.

    Returns:
        N×C_out×H′×W′.

    >>> np.round(conv2d_fft(np.arange(4.0).reshape(1, 1, 1, 4), np.ones((1, 1, 1, 2))), 12)
    array([[[[1., 3., 5.]]]])
    """
    (n, c, height, width), filters = x.shape, w.shape[0]
    lengths = fast_length(height), fast_length(width)
    bins = lengths[0], lengths[1] // 2 + 1
    # Frequency first, so that there is a matrix N × C and a matrix C × C_out at each one, in each group.
    images = np.fft.rfft2(x, lengths).reshape(n, groups, c // groups, *bins).transpose(3, 4, 1, 0, 2)
    taps = np.fft.rfft2(_spread(w, dilation), lengths).conj()
    taps = taps.reshape(groups, filters // groups, c // groups, *bins).transpose(3, 4, 0, 2, 1)
    product = np.ascontiguousarray(images) @ np.ascontiguousarray(taps)
    y = np.fft.irfft2(product.transpose(3, 2, 4, 0, 1), lengths).reshape(n, filters, *lengths)
    rows, columns = output_shape((height, width), w.shape[2:], stride=stride, dilation=dilation)
    return np.ascontiguousarray(under_tap(y, (0, 0), places=(rows, columns), stride=stride))


def _spread(w: Array, dilation: Two) -> Array:
    """The filters with d − 1 zeros between neighbouring taps."""
    reach = (d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation, strict=True))
    spread = np.zeros((*w.shape[:2], *reach), w.dtype)
    spread[:, :, :: dilation[0], :: dilation[1]] = w
    return spread


def fast_length(size: int) -> int:
    """The smallest length from `size` on without a prime factor above 5; a transform of it divides and
    divides again.

    >>> fast_length(58), fast_length(31)
    (60, 32)
    """
    rest = size
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    return size if rest == 1 else fast_length(size + 1)
