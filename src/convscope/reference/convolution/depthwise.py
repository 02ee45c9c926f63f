"""Depthwise convolution: every channel has filters of its own, and no sum runs over channels.

It is `conv2d` with groups = C_in. A matrix product would not pay: each channel's matrix has C_out/C_in rows,
often one. So it is computed as a sum over kH·kW taps, of a weight times the image shifted by that tap.

Source: Sifre, Rigid-Motion Scattering for Image Classification (2014); Howard and others, MobileNets (2017),
section 3.1, https://arxiv.org/abs/1704.04861, where a 1×1 convolution behind it mixes the channels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, as_floats, check_filters, check_maps, check_same
from convscope.reference.convolution.conv2d import add_bias, floats_with_bias
from convscope.reference.convolution.sliding_window import Two, under_tap
from convscope.reference.shapes import (
    FORMULA,
    Padding,
    Pair,
    Sides,
    border,
    crop_images,
    output_shape,
    pad_images,
    pair,
)


def depthwise_conv2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
) -> Array:
    """Filter each channel by itself with m filters.

        y[n, o, i, j] = bias[o] + Σ_a Σ_b w[o, 0, a, b] · x[n, c, s·i + d·a − p, s·j + d·b − p],   o = c·m + q

    It costs C·m·kH·kW multiplications a position. A whole convolution to as many maps costs C times that.

    Args:
        x: images, N×C×H×W; N may be 0.
        w: filters, C·m×1×kH×kW, the m filters of a channel one after the other.
        b: a number added to each map, C·m; nothing when None.
        stride: s, pixels from one position to the next, at least 1; an integer or two.
        padding: p, zeros around the image; an integer, two, "valid" (none) or "same" (H′ = H, stride 1 only).
        dilation: d, pixels from one tap to the next, at least 1.

    Returns:
        N×C·m×H′×W′, H′ = ⌊(H + 2p − d(kH − 1) − 1)/s⌋ + 1; float32 where all arrays are, else float64.

    Raises:
        ShapeError: sizes that do not fit, with the formula.

    >>> depthwise_conv2d([[[[1, 2, 3]], [[1, 2, 3]]]], [[[[1, 1]]], [[[1, -1]]]]).tolist()
    [[[[3.0, 5.0]], [[-1.0, -1.0]]]]
    """
    image, filters, bias = floats_with_bias(x, w, b)
    positions, sides = _positions(image, filters, stride=stride, padding=padding, dilation=dilation)
    padded, taps = pad_images(image, sides), _by_channel(filters, image)
    y = np.zeros((*image.shape[:2], taps.shape[1], *positions), image.dtype)
    # kH·kW steps over whole maps: 9 in Python for a 3×3 kernel, however large the images are.
    for tap in np.ndindex(*taps.shape[2:]):
        shifted = under_tap(padded, tap, positions=positions, stride=pair(stride), dilation=pair(dilation))
        y += taps[:, :, *tap, None, None] * shifted[:, :, None]
    return add_bias(y.reshape(len(image), len(filters), *positions), bias)


def depthwise_conv2d_backward(
    dy: ArrayLike, x: ArrayLike, w: ArrayLike, *, stride: Pair = 1, padding: Padding = 0, dilation: Pair = 1
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `depthwise_conv2d`, tap by tap.

    A tap adds w·(shifted image) to the result. This is a product: the gradient of either factor is the other
    one times dy, summed over everything that shares it. A weight is shared by all positions of all images, a
    pixel by the m filters of its channel:

        ∂L/∂w[c·m + q, 0, a, b] = Σ_n Σ_i Σ_j dy[n, c·m + q, i, j] · x[n, c, s·i + d·a − p, s·j + d·b − p]
        ∂L/∂x[n, c, u, v]       = Σ_a Σ_b Σ_q w[c·m + q, 0, a, b] · dy[n, c·m + q, i, j]
        ∂L/∂bias[c·m + q]       = Σ_n Σ_i Σ_j dy[n, c·m + q, i, j]

    with s·i + d·a − p = u and s·j + d·b − p = v.

    Args:
        dy: ∂L/∂y, N×C·m×H′×W′.
        x: images, N×C×H×W, as in `depthwise_conv2d`.
        w: filters, C·m×1×kH×kW.
        stride: as in `depthwise_conv2d`, and so the rest.
        padding: zeros around the image.
        dilation: pixels from one tap to the next.

    Returns:
        dx, dw and db, of the shapes of x, w and b.

    Raises:
        ShapeError: sizes that do not fit, with the formula.

    >>> dx, dw, db = depthwise_conv2d_backward([[[[1, 1]]]], [[[[1, 2, 3]]]], [[[[1, 10]]]])
    >>> dx.tolist(), dw.tolist(), db.tolist()
    ([[[[1.0, 11.0, 10.0]]]], [[[[3.0, 5.0]]]], [2.0])
    """
    error, image, filters = as_floats(dy, x, w)
    positions, sides = _positions(image, filters, stride=stride, padding=padding, dilation=dilation)
    expected = (len(image), len(filters), *positions)
    check_same(error.shape, expected, name="dy", why=f"N×C·m×H′×W′, H′ = {FORMULA}")
    padded, taps = pad_images(image, sides), _by_channel(filters, image)
    # The m filters of a channel get an axis of their own: N×C×m×H′×W′.
    error = error.reshape(*image.shape[:2], taps.shape[1], *positions)
    dx, dw = np.zeros_like(padded), np.empty_like(taps)
    for tap in np.ndindex(*taps.shape[2:]):
        # The same slice of the image and of its gradient: a pixel receives where it was read.
        shifted, met = (
            under_tap(of, tap, positions=positions, stride=pair(stride), dilation=pair(dilation))
            for of in (padded, dx)
        )
        # Σ_n Σ_i Σ_j dy·x: what shares the weight.
        dw[:, :, *tap] = np.einsum("ncqij,ncij->cq", error, shifted)
        # `met` is a view of dx: adding in place writes into the gradient itself.
        met += np.einsum("ncqij,cq->ncij", error, taps[:, :, *tap])
    # db sums dy over images and positions, the axes that share one bias.
    return crop_images(dx, sides), dw.reshape(filters.shape), error.sum(axis=(0, 3, 4)).reshape(-1)


def _positions(x: Array, w: Array, *, stride: Pair, padding: Padding, dilation: Pair) -> tuple[Two, Sides]:
    """The size of the result and the border of the image, once everything fits."""
    check_maps(x)
    # A group a channel: C_in/groups is 1, and groups divides C_out where m is a whole number.
    check_filters(x.shape, w.shape, groups=x.shape[1])
    kernel = (w.shape[2], w.shape[3])
    size = (x.shape[2], x.shape[3])
    positions = output_shape(size, kernel, stride=stride, padding=padding, dilation=dilation)
    return positions, border(padding, kernel, stride=stride, dilation=dilation)


def _by_channel(w: Array, x: Array) -> Array:
    """C·m×1×kH×kW as C×m×kH×kW."""
    return w.reshape(x.shape[1], w.shape[0] // x.shape[1], *w.shape[2:])
