"""Softmax and its logarithm: K logits become K probabilities that sum to 1.

Legend: N images, K classes, x logits, y probabilities, p_k the probability of class k.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, as_floats, check_same


def softmax(x: ArrayLike, *, axis: int = -1) -> Array:
    """Turn logits into probabilities: y_k = e^x_k / Σ_j e^x_j along an axis.

    A constant added to all x cancels in the fraction.

    Args:
        x: logits, such as N×K.
        axis: the one with the K logits.

    Returns:
        y, of the shape of x, each from 0 to 1; they sum to 1 along the axis.

    >>> softmax([[0, 0], [1000, 0]]).tolist()
    [[0.5, 0.5], [1.0, 0.0]]

    Source: Bridle 1990, Neurocomputing: Algorithms, Architectures and Applications.
    """
    (x,) = as_floats(x)
    # e^710 overflows in float64, e^89 in float32. Less the largest x, no power exceeds 1.
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    y: Array = powers / powers.sum(axis=axis, keepdims=True)
    return y


def softmax_backward(dy: ArrayLike, x: ArrayLike, *, axis: int = -1) -> Array:
    """Compute the gradient of `softmax`: dx_k = y_k·(dy_k − Σ_j dy_j·y_j).

    By the quotient rule ∂y_j/∂x_k = y_j·(δ_jk − y_k), and dx_k = Σ_j dy_j·∂y_j/∂x_k. The sum is the mean of
    dy
    under y: a probability can only grow at the cost of the others.

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: logits, such as N×K, as in `softmax`.
        axis: the one with the K logits.

    Returns:
        dx, of the shape of x.

    Raises:
        ShapeError: dy of another shape.

    >>> softmax_backward([[1, 0]], [[0, 0]]).tolist()
    [[0.25, -0.25]]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    y = softmax(x, axis=axis)
    # The K×K matrix of ∂y_j/∂x_k is never formed: K numbers an image instead of K².
    dx: Array = y * (dy - (dy * y).sum(axis=axis, keepdims=True))
    return dx


def log_softmax(x: ArrayLike, *, axis: int = -1) -> Array:
    """Compute the logarithm of `softmax`: y_k = x_k − log Σ_j e^x_j along an axis.

    With m = max x, log Σ e^x_j = m + log Σ e^(x_j − m), and the last sum lies between 1 and K.

    Args:
        x: logits, such as N×K.
        axis: the one with the K logits.

    Returns:
        y, of the shape of x, at most 0.

    >>> log_softmax([[0, -1000]]).tolist()
    [[0.0, -1000.0]]
    """
    (x,) = as_floats(x)
    # The largest exponent is 0, so the sum is at least 1 and its logarithm at least 0.
    shifted = x - x.max(axis=axis, keepdims=True)
    # One step, since log(softmax) would be −∞ for every probability that has become 0.
    y: Array = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return y


def log_softmax_backward(dy: ArrayLike, x: ArrayLike, *, axis: int = -1) -> Array:
    """Compute the gradient of `log_softmax`: dx_k = dy_k − p_k·Σ_j dy_j with p = softmax(x).

    ∂/∂x_k of log Σ e^x_j is e^x_k/Σ e^x_j = p_k, so ∂y_j/∂x_k = δ_jk − p_k.

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: logits, such as N×K, as in `log_softmax`.
        axis: the one with the K logits.

    Returns:
        dx, of the shape of x.

    Raises:
        ShapeError: dy of another shape.

    >>> log_softmax_backward([[1, 0]], [[0, 0]]).tolist()
    [[0.5, -0.5]]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    # Rows of dx sum to 0: a shift of all logits changes no probability.
    dx: Array = dy - softmax(x, axis=axis) * dy.sum(axis=axis, keepdims=True)
    return dx
