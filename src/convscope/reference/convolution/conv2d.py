"""Two-dimensional convolution, forward by four methods and backward.

Legend: N images, C_in channels of H rows and W columns; C_out filters of kH×kW taps; stride s, padding p,
dilation d.
"""

from __future__ import annotations

from typing import Literal, get_args

from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, as_floats, check_filters, check_maps, check_same
from convscope.reference.convolution.fft import conv2d_fft
from convscope.reference.convolution.im2col import conv2d_im2col, input_gradient, weight_gradient
from convscope.reference.convolution.sliding_window import conv2d_naive
from convscope.reference.convolution.winograd import conv2d_winograd
from convscope.reference.shapes import (
    FORMULA,
    Padding,
    Pair,
    border,
    crop_images,
    output_shape,
    pad_images,
    pair,
)

Method = Literal["naive", "im2col", "fft", "winograd"]
# All four give the same numbers up to rounding, so a learner can read any of them as the definition.
METHODS = {"naive": conv2d_naive, "im2col": conv2d_im2col, "fft": conv2d_fft, "winograd": conv2d_winograd}


def conv2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
    method: Method = "im2col",
) -> Array:
    """Slide every filter over every image; at each position, multiply and add.

        y[n, o, i, j] = bias[o] + Σ_c Σ_a Σ_b w[o, c, a, b] · x[n, g·C + c, s·i + d·a − p, s·j + d·b − p]

    with x = 0 outside the image, C = C_in/groups, and g = ⌊o·groups/C_out⌋ the group of filter o. H′ is ⌊(H +
    2p − d(kH − 1) − 1)/s⌋ + 1, W′ likewise. A weight is used at every position. So a shifted image gives a
    shifted result (equivariance), and the number of weights does not depend on the size of the image.
    Mathematicians call this correlation; their convolution mirrors the filter, which makes no difference to a
    filter that is learned.

    Args:
        x: images, N×C_in×H×W; N may be 0.
        w: filters, C_out×(C_in/groups)×kH×kW.
        b: a number added to each map, C_out; nothing when None.
        stride: s, pixels from one position to the next, at least 1; an integer or two (rows, columns).
        padding: p, zeros around the image; an integer, two, "valid" (none) or "same" (H′ = H, stride 1 only).
        dilation: d, pixels from one tap to the next, at least 1.
        groups: parts of channels and filters; a filter sees its own part only.
        method: "naive" (the loops), "im2col" (a matrix product), "fft", or "winograd" (3×3, stride and
            dilation 1).

    Returns:
        N×C_out×H′×W′; float32 where all arrays are, else float64.

    Raises:
        ShapeError: sizes that do not fit, with the formula.
        ValueError: an unknown method.

    >>> edge = [[[[0, 0, 1, 1, 1]] * 5]]  # dark on the left, bright on the right
    >>> conv2d(edge, [[[[1, 0, -1]] * 3]])[0, 0]
    array([[-3., -3.,  0.],
           [-3., -3.,  0.],
           [-3., -3.,  0.]])

    Source: LeCun and others, Backpropagation Applied to Handwritten Zip Code Recognition (1989).
    """
    image, filters, bias = floats_with_bias(x, w, b)
    # Shapes first, so that the loops may index without checks.
    check_maps(image)
    check_filters(image.shape, filters.shape, groups=groups)
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; allowed: {', '.join(get_args(Method))}")
    kernel = (filters.shape[2], filters.shape[3])
    # Called for its error, which names the padding; the methods only know the padded image.
    output_shape((image.shape[2], image.shape[3]), kernel, stride=stride, padding=padding, dilation=dilation)
    # The zeros are stored: 15 % more memory for 28×28 with p = 1, and no special case in any method.
    padded = pad_images(image, border(padding, kernel, stride=stride, dilation=dilation))
    y = METHODS[method](padded, filters, stride=pair(stride), dilation=pair(dilation), groups=groups)
    return add_bias(y, bias)


def conv2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    *,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `conv2d` by the chain rule.

    An input changes the loss L through all outputs that it enters. y is linear in each of b, w and x, so that
    ∂y/∂(one of them) is its factor in the definition:

        ∂L/∂bias[o]       = Σ_n Σ_i Σ_j dy[n, o, i, j]
        ∂L/∂w[o, c, a, b] = Σ_n Σ_i Σ_j dy[n, o, i, j] · x[n, g·C + c, s·i + d·a − p, s·j + d·b − p]
        ∂L/∂x[n, c, u, v] = Σ_o Σ_a Σ_b dy[n, o, i, j] · w[o, c, a, b]

    the last over all i, j with s·i + d·a − p = u and s·j + d·b − p = v, and o in the group of c. The second
    is x convolved with dy as the filter; the third, for s = 1, is dy convolved with the mirrored filter.
    `im2col` writes both as matrix products.

    Args:
        dy: ∂L/∂y, N×C_out×H′×W′.
        x: images, N×C_in×H×W, as in `conv2d`.
        w: filters, C_out×(C_in/groups)×kH×kW.
        stride: as in `conv2d`, and so the rest.
        padding: zeros around the image.
        dilation: pixels from one tap to the next.
        groups: parts of channels and filters.

    Returns:
        dx, dw and db, of the shapes of x, w and b.

    Raises:
        ShapeError: sizes that do not fit, with the formula.

    >>> dx, dw, db = conv2d_backward([[[[1, 1, 1]]]], [[[[0, 1, 2, 3]]]], [[[[1, 10]]]])
    >>> dx.tolist(), dw.tolist(), db.tolist()
    ([[[[1.0, 11.0, 11.0, 10.0]]]], [[[[3.0, 6.0]]]], [3.0])
    """
    error, image, filters = as_floats(dy, x, w)
    check_maps(image)
    check_filters(image.shape, filters.shape, groups=groups)
    size, kernel = (image.shape[2], image.shape[3]), (filters.shape[2], filters.shape[3])
    positions = output_shape(size, kernel, stride=stride, padding=padding, dilation=dilation)
    expected = (len(image), len(filters), *positions)
    check_same(error.shape, expected, name="dy", why=f"N×C_out×H′×W′, H′ = {FORMULA}")
    sides = border(padding, kernel, stride=stride, dilation=dilation)
    padded = pad_images(image, sides)
    # dy meets the same windows as x did, so both gradients take the same stride and dilation.
    steps = {"stride": pair(stride), "dilation": pair(dilation)}
    dw = weight_gradient(error, padded, kernel, groups=groups, **steps)
    dx = input_gradient(error, filters, padded.shape[2:], groups=groups, **steps)
    # The zeros of the padding are constants: what falls on them is cut off, and belongs to no variable.
    return crop_images(dx, sides), dw, error.sum(axis=(0, 2, 3))


def floats_with_bias(x: ArrayLike, w: ArrayLike, b: ArrayLike | None) -> tuple[Array, Array, Array | None]:
    """Convert images, filters and a bias that may be missing with `as_floats`.

    Args:
        x: images.
        w: filters.
        b: the bias, or None.

    Returns:
        The three in one floating type; the bias stays None where it is.
    """
    if b is not None:
        # The bias counts for the type, or float64 biases would lose their digits in a float32 result.
        x, w, b = as_floats(x, w, b)
        return x, w, b
    x, w = as_floats(x, w)
    return x, w, None


def add_bias(y: Array, b: Array | None) -> Array:
    """Add bias[o] to map o, in place.

    Its gradient is the sum of dy over everything that it was added to: ∂L/∂bias[o] = Σ_n Σ_i Σ_j dy[n, o, i,
    j]. A layer in front of a norm needs no bias, because the norm subtracts the mean.

    Args:
        y: maps, N×C_out×H×W.
        b: C_out numbers, or None for no bias.

    Returns:
        y itself.

    Raises:
        ShapeError: not one number a map.
    """
    if b is not None:
        check_same(b.shape, (y.shape[1],), name="b", why="one number a map, C_out")
        # C_out×1×1, so that broadcasting runs over rows and columns and not over channels.
        y += b[:, None, None]
    return y
