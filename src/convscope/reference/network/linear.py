"""The dense layer and the flattening in front of it: each of K outputs weighs every one of D numbers.

Legend: N images, C channels, H rows, W columns, D inputs, K outputs.
"""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, ShapeError, as_floats, check_same


def flatten(x: ArrayLike) -> Array:
    """Make each image one row of numbers: N×C×H×W → N×(C·H·W), channel by channel, row by row.

    >>> flatten([[[[1, 2], [3, 4]]]]).tolist()
    [[1.0, 2.0, 3.0, 4.0]]
    """
    (x,) = as_floats(x)
    if x.ndim < 2:
        raise ShapeError(f"flatten keeps the first axis, N, and joins the others; given: {x.shape}")
    # The product, not −1: reshape cannot infer a length where N is 0.
    return x.reshape(len(x), math.prod(x.shape[1:]))


def flatten_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """Compute the gradient of `flatten`: dy in the shape of x, since each number only moved.

    Args:
        dy: ∂L/∂y, N×(C·H·W).
        x: N×C×H×W, as in `flatten`, of which only the shape matters.

    Returns:
        dx, of the shape of x.

    Raises:
        ShapeError: sizes that do not fit.

    >>> flatten_backward([[1, 2, 3, 4]], [[[[0, 0], [0, 0]]]]).tolist()
    [[[[1.0, 2.0], [3.0, 4.0]]]]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, flatten(x).shape, name="dy", why=f"N×(C·H·W) of x {x.shape}")
    return dy.reshape(x.shape)


def linear(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None) -> Array:
    """Compute weighted sums: y = x·wᵀ + b, that is y[n, k] = Σ_d x[n, d]·w[k, d] + b[k].

    Args:
        x: N×D; maps go through `flatten` first.
        w: K×D, a row for each output.
        b: K numbers, or None.

    Returns:
        y, N×K.

    Raises:
        ShapeError: sizes that do not fit.

    >>> linear([[1, 2]], [[10, 0], [0, 100], [1, 1]], [0, 0, 5]).tolist()
    [[10.0, 200.0, 8.0]]
    """
    if b is None:
        x, w = as_floats(x, w)
        _check(x, w)
        return x @ w.T
    x, w, b = as_floats(x, w, b)
    _check(x, w)
    # A bias of shape (1,) would broadcast to all outputs without an error.
    check_same(b.shape, w.shape[:1], name="b", why=f"K, one for each row of w {w.shape}")
    # N·D·K multiplications; w is K×D, as in PyTorch, so that weights can be exchanged.
    return x @ w.T + b


def linear_backward(dy: ArrayLike, x: ArrayLike, w: ArrayLike) -> tuple[Array, Array, Array]:
    """Compute the gradients of `linear`: dx = dy·w, dw = dyᵀ·x, db = Σ_n dy[n].

    From y[n, k] = Σ_d x[n, d]·w[k, d] + b[k], summing over all outputs that each number enters:

        dx[n, d] = Σ_k dy[n, k]·w[k, d];  dw[k, d] = Σ_n dy[n, k]·x[n, d];  db[k] = Σ_n dy[n, k]

    Args:
        dy: ∂L/∂y, N×K.
        x: N×D, as in `linear`, and so the rest.
        w: K×D.

    Returns:
        (dx, dw, db), of the shapes of x, w and b.

    Raises:
        ShapeError: sizes that do not fit.

    >>> [g.tolist() for g in linear_backward([[1, 0]], [[3, 4]], [[10, 20], [30, 40]])]
    [[[10.0, 20.0]], [[3.0, 4.0], [0.0, 0.0]], [1.0, 0.0]]
    """
    x, w, dy = as_floats(x, w, dy)
    _check(x, w)
    check_same(dy.shape, (len(x), len(w)), name="dy", why="N×K, that of y = linear(x, w)")
    # Backward costs two products of the size of the forward one: 2·N·D·K multiplications.
    return dy @ w, dy.T @ x, dy.sum(axis=0)


def _check(x: Array, w: Array) -> None:
    """Refuse inputs and weights with another D."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ShapeError(f"x·wᵀ needs x as N×D and w as K×D with the same D; given: x {x.shape}, w {w.shape}")
