"""Transposed convolution: the gradient of a convolution, used as a layer that makes images larger.

conv2d is linear in x. So there is a matrix M, mostly zeros, with y = M·x for images written as columns. Its
gradient is ∂L/∂x = Mᵀ·∂L/∂y. The transposed convolution is the layer y = Mᵀ·x. conv2d gathers a window into
one pixel; this layer scatters one pixel over a window, and its own gradient is (Mᵀ)ᵀ = M, a convolution. It
does not invert M, hence "transposed" and not "deconvolution".

Source: Dumoulin and Visin, A Guide to Convolution Arithmetic for Deep Learning (2016), chapter 4,
https://arxiv.org/abs/1603.07285; Zeiler and others, Deconvolutional Networks (2010).
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, ShapeError, as_floats, check_groups, check_maps, check_same
from convscope.reference.convolution.conv2d import add_bias, floats_with_bias
from convscope.reference.convolution.im2col import conv2d_im2col, input_gradient, weight_gradient
from convscope.reference.shapes import Pair, crop_images, output_shape, pad_images, pair

FORMULA = "(H - 1)*s - 2p + d(k-1) + 1 + output_padding"


def conv_transpose2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    output_padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Array:
    """Put a filter times each pixel into the result, s pixels apart, and add where they overlap.

        y[n, o, u, v] = bias[o] + Σ_c Σ_a Σ_b w[c, o, a, b] · x[n, c, i, j]

    over all i, j with s·i + d·a − p = u and s·j + d·b − p = v. This is ∂L/∂x of conv2d with x for dy and the
    same w, so C_out there is C_in here. The size formula of conv2d, solved for H, gives H′ = (H − 1)·s − 2p +
    d(k − 1) + 1. Up to s − 1 more pixels are possible, because the floor maps s sizes to one;
    `output_padding` chooses among them.

    Args:
        x: images, N×C_in×H×W; N may be 0.
        w: filters, C_in×(C_out/groups)×kH×kW.
        b: a number added to each map, C_out; nothing when None.
        stride: s, pixels from one filter to the next in the result, at least 1; an integer or two.
        padding: p, pixels cut off on each side of the result; an integer or two.
        output_padding: rows and columns more at the end, 0 … s − 1; an integer or two.
        dilation: d, pixels from one tap to the next, at least 1.
        groups: parts of channels and filters.

    Returns:
        N×C_out×H′×W′; float32 where all arrays are, else float64.

    Raises:
        ShapeError: sizes that do not fit, with the formula.

    >>> conv_transpose2d([[[[1, 2]]]], [[[[1, 10, 100]]]], stride=2)
    array([[[[  1.,  10., 102.,  20., 200.]]]])
    """
    image, filters, bias = floats_with_bias(x, w, b)
    _check(image, filters, groups)
    s, d = pair(stride, name="stride", at_least=1), pair(dilation, name="dilation", at_least=1)
    # "same" has no meaning for a result that is to be larger; `pair` refuses words.
    p, more = pair(padding, name="padding"), pair(output_padding, name="output_padding")
    rows, columns = (
        transposed_size(
            image.shape[2 + axis],
            filters.shape[2 + axis],
            stride=s[axis],
            padding=p[axis],
            output_padding=more[axis],
            dilation=d[axis],
        )
        for axis in (0, 1)
    )
    # conv2d saw a padded image, so the result is made with its border, which is then cut off.
    whole = input_gradient(
        image, filters, (rows + 2 * p[0], columns + 2 * p[1]), stride=s, dilation=d, groups=groups
    )
    y = crop_images(whole, ((p[0], p[0]), (p[1], p[1])))
    return add_bias(y, bias)


def conv_transpose2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `conv_transpose2d`: those of `conv2d` with image and error exchanged.

    From y = Mᵀ·x follows ∂L/∂x = M·∂L/∂y: conv2d of dy with the same filters. The gradient of a weight is the
    sum over all pairs of a pixel and a result that it connects. Here x stands for the result of conv2d and dy
    for its image:

        ∂L/∂x[n, c, i, j] = Σ_o Σ_a Σ_b w[c, o, a, b] · dy[n, o, s·i + d·a − p, s·j + d·b − p]
        ∂L/∂w[c, o, a, b] = Σ_n Σ_i Σ_j x[n, c, i, j] · dy[n, o, s·i + d·a − p, s·j + d·b − p]
        ∂L/∂bias[o]       = Σ_n Σ_u Σ_v dy[n, o, u, v]

    Args:
        dy: ∂L/∂y, N×C_out×H′×W′; its size implies the output padding.
        x: images, N×C_in×H×W, as in `conv_transpose2d`.
        w: filters, C_in×(C_out/groups)×kH×kW.
        stride: as in `conv_transpose2d`, and so the rest.
        padding: pixels cut off the result.
        dilation: pixels from one tap to the next.
        groups: parts of channels and filters.

    Returns:
        dx, dw and db, of the shapes of x, w and b.

    Raises:
        ShapeError: sizes that do not fit, with the formula.

    >>> dy, x, w = [[[[1, 1, 1, 1, 1]]]], [[[[1, 2]]]], [[[[1, 10, 100]]]]
    >>> dx, dw, db = conv_transpose2d_backward(dy, x, w, stride=2)
    >>> dx.tolist(), dw.tolist(), db.tolist()
    ([[[[111.0, 111.0]]]], [[[[3.0, 3.0, 3.0]]]], [5.0])
    """
    error, image, filters = as_floats(dy, x, w)
    _check(image, filters, groups)
    check_maps(error, name="dy")
    expected = (len(image), filters.shape[1] * groups)
    check_same(error.shape[:2], expected, name="dy's N×C_out", why="C_out = w.shape[1]*groups")
    p, s, d, kernel = pair(padding, name="padding"), pair(stride), pair(dilation), filters.shape[2:]
    # All s sizes that conv2d maps to x are allowed, whichever output padding made them.
    # conv2d of dy has to lead back to the size of x.
    back = output_shape(error.shape[2:], kernel, stride=stride, padding=padding, dilation=dilation)
    check_same(back, image.shape[2:], name="conv2d of dy, H×W,", why=f"H of dy is {FORMULA}")
    padded = pad_images(error, ((p[0], p[0]), (p[1], p[1])))
    # (Mᵀ)ᵀ = M: the convolution itself.
    dx = conv2d_im2col(padded, filters, stride=s, dilation=d, groups=groups)
    # Exchanged: x takes the part of dy, and the padded dy that of the image.
    dw = weight_gradient(image, padded, kernel, stride=s, dilation=d, groups=groups)
    return dx, dw, error.sum(axis=(0, 2, 3))


def transposed_size(
    size: int, kernel: int, *, stride: int = 1, padding: int = 0, output_padding: int = 0, dilation: int = 1
) -> int:
    """Compute the pixels along one axis of the result: (H − 1)·s − 2p + d(k − 1) + 1 + output padding.

    Args:
        size: H, pixels along the axis.
        kernel: k, taps of the filter, at least 1.
        stride: s, at least 1.
        padding: p, pixels cut off on each side.
        output_padding: pixels more at the end, 0 … s − 1.
        dilation: d, at least 1.

    Returns:
        H′, at least 1.

    Raises:
        ShapeError: too much output padding, or nothing is left.

    >>> [transposed_size(4, 3, stride=2, padding=1, output_padding=more) for more in (0, 1)]
    [7, 8]
    """
    if output_padding >= stride:
        raise ShapeError(
            f"output_padding {output_padding} needs a stride above it, given {stride}: it tells apart the s "
            "sizes that conv2d's floor makes one, 0 … s − 1"
        )
    # The windows start at 0, s, …, (H − 1)·s, and the last one covers d(k − 1) + 1 pixels.
    result = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + output_padding
    if result < 1:
        raise ShapeError(
            f"nothing is left of the result: {FORMULA} = ({size} - 1)*{stride} - 2*{padding} + "
            f"{dilation}*{kernel - 1} + 1 + {output_padding} = {result}; give less padding"
        )
    return result


def _check(x: Array, w: Array, groups: int) -> None:
    """Refuse images and filters that do not fit; the first axis of the filters is C_in here."""
    check_maps(x)
    if w.ndim != 4 or 0 in w.shape:
        raise ShapeError(f"w is C_in×(C_out/groups)×kH×kW, each at least 1; given: {w.shape}")
    check_groups(groups, w.shape[0], name="C_in")
    if x.shape[1] != w.shape[0]:
        raise ShapeError(
            f"x has {x.shape[1]} channels and w has filters for {w.shape[0]}: C_in = w.shape[0] has to hold"
        )
