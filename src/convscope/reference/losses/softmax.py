"""Softmax and its logarithm: K logits as K shares that sum to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, as_floats, check_same


def softmax(x: ArrayLike, *, axis: int = -1) -> Array:
    """Shares of the powers of e: y_k = e^x_k / Σ_j e^x_j along an axis.

    A number added to all x drops out of the fraction. The largest x is taken off, so that no power exceeds 1
    and none overflows.

    Args:
        x: logits, such as N×K.
        axis: the one with the K logits.

    Returns:
        y, of the shape of x, each share from 0 to 1.

    >>> softmax([[0, 0], [1000, 0]]).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    (x,) = as_floats(x)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    y: Array = powers / powers.sum(axis=axis, keepdims=True)
    return y


def softmax_backward(dy: ArrayLike, x: ArrayLike, *, axis: int = -1) -> Array:
    """The gradient of `softmax`: dx_k = y_k·(dy_k − Σ_j dy_j·y_j).

    By the quotient rule ∂y_j/∂x_k = y_j·(δ_jk − y_k), and dx_k = Σ_j dy_j·∂y_j/∂x_k. The sum is the mean of
    dy under y: a share can only grow at the cost of the others.

    dy is ∂L/∂y, of the shape of x; x and axis are as they were. dx has the shape of x.

    >>> softmax_backward([[1, 0]], [[0, 0]]).tolist()
    [[0.25, -0.25]]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    y = softmax(x, axis=axis)
    dx: Array = y * (dy - (dy * y).sum(axis=axis, keepdims=True))
    return dx


def log_softmax(x: ArrayLike, *, axis: int = -1) -> Array:
    """The logarithm of `softmax`: y_k = x_k − log Σ_j e^x_j along an axis.

    Taken in one step, since a share that has become 0 has no logarithm. With m = max x, log Σ e^x_j = m + log
    Σ e^(x_j − m), and the last sum lies between 1 and K.

    Args:
        x: logits, such as N×K.
        axis: the one with the K logits.

    Returns:
        y, of the shape of x, at most 0.

    >>> log_softmax([[0, -1000]]).tolist()
    [[0.0, -1000.0]]
    """
    (x,) = as_floats(x)
    shifted = x - x.max(axis=axis, keepdims=True)
    y: Array = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return y


def log_softmax_backward(dy: ArrayLike, x: ArrayLike, *, axis: int = -1) -> Array:
    """The gradient of `log_softmax`: dx_k = dy_k − softmax(x)_k·Σ_j dy_j.

    ∂/∂x_k of log Σ e^x_j is e^x_k/Σ e^x_j, the share of k, so ∂y_j/∂x_k = δ_jk − share_k.

    dy is ∂L/∂y, of the shape of x; x and axis are as they were. dx has the shape of x.

    >>> log_softmax_backward([[1, 0]], [[0, 0]]).tolist()
    [[0.5, -0.5]]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    dx: Array = dy - softmax(x, axis=axis) * dy.sum(axis=axis, keepdims=True)
    return dx
