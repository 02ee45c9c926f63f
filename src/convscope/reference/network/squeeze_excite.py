"""Squeeze-and-excite: the whole image decides how much each channel counts.

Squeeze: one number a map, its mean. Excite: two dense layers give a gate between 0 and 1 for each channel;
    the first
narrows to C/r numbers, with r = 16 in the paper. The block is made of operations of this package, and so is
its
gradient: the chain rule, the lines of the forward pass read backwards.

Legend: N images, C channels, H rows, W columns, r the reduction, g the gates N×C.

Source: Hu, Shen and Sun 2018, section 3, https://arxiv.org/abs/1709.01507
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from convscope.reference.activations import relu, relu_backward, sigmoid, sigmoid_backward
from convscope.reference.arrays import Array, as_floats, check_same
from convscope.reference.network.linear import linear, linear_backward
from convscope.reference.pooling.adaptive_pooling import global_avg_pool2d, global_avg_pool2d_backward


def squeeze_excite(x: ArrayLike, *, w1: ArrayLike, b1: ArrayLike, w2: ArrayLike, b2: ArrayLike) -> Array:
    """Multiply each map by its gate: y[n, c] = x[n, c]·g[n, c], g = sigmoid(w2·relu(w1·mean + b1) + b2).

    The mean is that of each map, over H and W.

    Args:
        x: maps, N×C×H×W.
        w1: weights of the narrowing layer, (C/r)×C.
        b1: its bias, C/r numbers.
        w2: weights of the widening layer, C×(C/r).
        b2: its bias, C numbers.

    Returns:
        y, N×C×H×W.

    Raises:
        ShapeError: sizes that do not fit.

    >>> squeeze_excite([[[[2, 4]]]], w1=[[1]], b1=[0], w2=[[0]], b2=[0]).tolist()
    [[[[1.0, 2.0]]]]
    """
    (x,) = as_floats(x)
    # C numbers an image become C/r, so that gates depend on combinations of channels.
    narrow = linear(global_avg_pool2d(x), w1, b1)
    logits = linear(relu(narrow), w2, b2)
    _check_gates(logits, x)
    # 2·C²/r weights and as many multiplications an image, beside C²·k²·H·W of a convolution.
    return x * sigmoid(logits)[:, :, None, None]


def squeeze_excite_backward(
    dy: ArrayLike, x: ArrayLike, *, w1: ArrayLike, b1: ArrayLike, w2: ArrayLike, b2: ArrayLike
) -> tuple[Array, Array, Array, Array, Array]:
    """Compute the gradients of `squeeze_excite`.

    x reaches y along two paths, and their gradients add up. As the map that is scaled it has dx = dy·g.
    Through the gate dg[n, c] = Σ dy[n, c]·x[n, c] over the pixels goes back through sigmoid, dense, ReLU,
    dense and mean.

    Args:
        dy: ∂L/∂y, N×C×H×W.
        x: maps, N×C×H×W, as in `squeeze_excite`, and so the rest.
        w1: weights of the narrowing layer, (C/r)×C.
        b1: its bias, C/r numbers.
        w2: weights of the widening layer, C×(C/r).
        b2: its bias, C numbers.

    Returns:
        (dx, dw1, db1, dw2, db2), each of the shape of its input.

    Raises:
        ShapeError: sizes that do not fit.

    >>> gradients = squeeze_excite_backward([[[[1, 1]]]], [[[[2, 4]]]], w1=[[1]], b1=[0], w2=[[0]], b2=[0])
    >>> [g.ravel().tolist() for g in gradients]
    [[0.5, 0.5], [0.0], [0.0], [4.5], [1.5]]
    """
    x, dy = as_floats(x, dy)
    # The forward pass again: its intermediate results are the inputs of the gradients below.
    squeezed = global_avg_pool2d(x)
    narrow = linear(squeezed, w1, b1)
    kept = relu(narrow)
    logits = linear(kept, w2, b2)
    _check_gates(logits, x)
    check_same(dy.shape, x.shape, name="dy", why="that of x")

    # dg: every pixel of a map shares its gate, so their gradients add up.
    dlogits = sigmoid_backward((dy * x).sum(axis=(2, 3)), logits)
    dkept, dw2, db2 = linear_backward(dlogits, kept, w2)
    dsqueezed, dw1, db1 = linear_backward(relu_backward(dkept, narrow), squeezed, w1)
    # The first term is the direct path, the second the one through the gate.
    dx = dy * sigmoid(logits)[:, :, None, None] + global_avg_pool2d_backward(dsqueezed, x)
    return dx, dw1, db1, dw2, db2


def _check_gates(logits: Array, x: Array) -> None:
    """Refuse a widening layer that does not give one gate a channel."""
    check_same(
        logits.shape, x.shape[:2], name="the gate", why=f"N×C of x {x.shape}: w2 gives one number a channel"
    )
