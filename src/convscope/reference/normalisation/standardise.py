"""The mathematics of batch, layer, group and instance norm, which differ only in the axes of their means.

First the numbers of each group get mean 0 and variance 1, then they are scaled by γ and shifted by β. Both
are learned, so the layers behind can still have the mean and deviation that serve them best.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, ShapeError, as_floats, check_same


def standardise(x: ArrayLike, axes: tuple[int, ...], *, eps: float = 1e-5) -> Array:
    """Compute x̂ = (x − μ)/σ, with means over the m numbers along `axes`.

    μ = mean(x) and σ = √(mean((x − μ)²) + ε).

    Args:
        x: of any shape.
        axes: the axes of a group; m must exceed 1, or x̂ would always be 0.
        eps: ε, added to the variance, so that a group of equal numbers gives 0 instead of 0/0.

    Returns:
        x̂, of the shape of x.

    Raises:
        ShapeError: groups of one number, or of none.

    >>> standardise([[1, 3], [10, 14]], (1,), eps=0.0).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    (x,) = as_floats(x)
    centred, sigma = _centred(x, axes, eps)
    return centred / sigma


def standardise_backward(dy: ArrayLike, x: ArrayLike, axes: tuple[int, ...], *, eps: float = 1e-5) -> Array:
    """Compute the gradient of `standardise`: dx = (dy − mean(dy) − x̂·mean(dy·x̂))/σ, means over the group.

    Every x_j of a group changes each x̂_i, through x_i itself, through μ and through σ:

        ∂μ/∂x_j = 1/m
        ∂σ/∂x_j = (x_j − μ)/(m·σ) = x̂_j/m        (that of μ drops out, since Σ (x_i − μ) = 0)
        ∂x̂_i/∂x_j = (δ_ij − 1/m)/σ − (x_i − μ)/σ² · x̂_j/m = (δ_ij − 1/m − x̂_i·x̂_j/m)/σ
        dx_j = Σ_i dy_i ∂x̂_i/∂x_j = (dy_j − mean(dy) − x̂_j·mean(dy·x̂))/σ

    Subtracted are the parts of dy along a constant and along x̂. A constant added to all x changes nothing,
    nor does a factor, so the gradient has no such part.

    Args:
        dy: ∂L/∂x̂, of the shape of x.
        x: of any shape, as in `standardise`, and so the rest.
        axes: the axes of a group.
        eps: ε, added to the variance.

    Returns:
        dx, of the shape of x.

    Raises:
        ShapeError: dy of another shape, or groups of fewer than two numbers.

    >>> dx = standardise_backward([[1, 0, 0]], [[1, 2, 6]], (1,))
    >>> bool(abs(dx.sum()) < 1e-12), bool(abs((dx * [1, 2, 6]).sum()) < 1e-5)
    (True, True)
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    centred, sigma = _centred(x, axes, eps)
    x_hat = centred / sigma
    along_constant = dy.mean(axis=axes, keepdims=True)
    along_x_hat = (dy * x_hat).mean(axis=axes, keepdims=True)
    # Exact with ε as well: σ contains it, and the derivation above never uses mean(x̂²) = 1.
    dx: Array = (dy - along_constant - x_hat * along_x_hat) / sigma
    return dx


def scale_and_shift(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, axes: tuple[int, ...]) -> Array:
    """Compute y = γ·x + β with one γ and β for each index along `axes`, the same along all other axes.

    Args:
        x: of any shape.
        gamma: γ, of the lengths of x along `axes`.
        beta: β, likewise.
        axes: in rising order.

    Returns:
        y, of the shape of x.

    Raises:
        ShapeError: γ or β of other lengths.

    >>> scale_and_shift([[1, 2], [3, 4]], [10, 100], [0, 1], axes=(1,)).tolist()
    [[10.0, 201.0], [30.0, 401.0]]
    """
    x, gamma, beta = as_floats(x, gamma, beta)
    return x * _broadcast(x, gamma, axes, name="gamma") + _broadcast(x, beta, axes, name="beta")


def scale_and_shift_backward(
    dy: ArrayLike, x: ArrayLike, gamma: ArrayLike, *, axes: tuple[int, ...]
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `scale_and_shift`: dx = γ·dy, dγ = Σ dy·x, dβ = Σ dy.

    The sums run over all elements that share one γ: a number that is used many times sums the gradients of
    its uses.

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: of any shape, as in `scale_and_shift`, and so the rest.
        gamma: γ, of the lengths of x along `axes`.
        axes: in rising order.

    Returns:
        (dx, dγ, dβ), of the shapes of x, γ and γ.

    Raises:
        ShapeError: dy of another shape, or γ of other lengths.

    >>> gradients = scale_and_shift_backward([[1, 1], [1, 1]], [[1, 2], [3, 4]], [10, 100], axes=(1,))
    >>> [g.tolist() for g in gradients]
    [[[10.0, 100.0], [10.0, 100.0]], [4.0, 6.0], [2.0, 2.0]]
    """
    x, dy, gamma = as_floats(x, dy, gamma)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    # The axes along which one γ repeats: those of its sum.
    shared = tuple(axis for axis in range(x.ndim) if axis not in axes)
    return dy * _broadcast(x, gamma, axes, name="gamma"), (dy * x).sum(axis=shared), dy.sum(axis=shared)


def _broadcast(x: Array, values: Array, axes: tuple[int, ...], *, name: str) -> Array:
    """γ or β with length 1 along the other axes of x, so that NumPy repeats it there."""
    lengths = tuple(x.shape[axis] for axis in axes)
    check_same(values.shape, lengths, name=name, why=f"the lengths of x {x.shape} along axes {axes}")
    return values.reshape([length if axis in axes else 1 for axis, length in enumerate(x.shape)])


def _centred(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """Both x − μ and σ."""
    m = int(np.prod([x.shape[axis] for axis in axes]))
    if m < 2:
        raise ShapeError(
            f"a mean over axes {axes} of x {x.shape} is over m = {m} number(s); (x - mean)/sd needs m of 2 "
            "or more: give more images or larger maps"
        )
    centred = x - x.mean(axis=axes, keepdims=True)
    # The variance of centred numbers: mean(x²) − μ² loses all its digits where μ is 10⁸ times the deviation.
    return centred, np.sqrt((centred**2).mean(axis=axes, keepdims=True) + eps)
