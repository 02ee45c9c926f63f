"""Layer norm: each image for itself gets mean 0 and variance 1, so that no answer depends on the batch.

Ba, Kiros and Hinton 2016, arXiv 1607.06450. In transformers and in ConvNeXt it runs over the channels alone,
which are then the last axis.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from convscope.reference.precision import Array, as_floats
from convscope.reference.shapes import check_same
from convscope.reference.standardise import (
    scale_and_shift,
    scale_and_shift_backward,
    standardise,
    standardise_backward,
)


def layer_norm(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, eps: float = 1e-5) -> Array:
    """Each image (or row) for itself: y = γ·(x − μ)/√(σ² + ε) + β, μ and σ² over the last axes of x, as many
    as γ has.

    Args:
        x: such as N×C×H×W with γ of C×H×W (each image) or of W (the last axis alone: each row).
        gamma: γ, of the lengths of the last axes of x; 1 at the start.
        beta: β, of the shape of γ; 0 at the start.
        eps: ε, added to the variance.

    Returns:
        y, of the shape of x.

    Raises:
        ShapeError: sizes that do not fit, or a single number to take the variance of.

    >>> layer_norm([[1, 3], [10, 14]], [1, 1], [0, 0], eps=0.0).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """
    axes = _last_axes(x, gamma)
    return scale_and_shift(standardise(x, axes, eps=eps), gamma, beta, axes=axes)


def layer_norm_backward(
    dy: ArrayLike, x: ArrayLike, gamma: ArrayLike, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """The gradients of `layer_norm`: with dx̂ = γ·dy, dx = (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))/σ; dγ = Σ
    dy·x̂, dβ = Σ dy.

    The means run over one image's axes, as `standardise` derives them; unlike in batch norm γ differs within
    a group, so it stays inside the means. The sums run over everything that shares a γ: the images.

    dy is ∂L/∂y, of the shape of x; the other arguments are as they were. Returns (dx, dγ, dβ), of the shapes
    of x, γ and γ.

    >>> layer_norm_backward([[1, 0, 0]], [[0, 3, 6]], [1, 1, 1])[2].tolist()
    [1.0, 0.0, 0.0]
    """
    axes = _last_axes(x, gamma)
    dx_hat, dgamma, dbeta = scale_and_shift_backward(dy, standardise(x, axes, eps=eps), gamma, axes=axes)
    return standardise_backward(dx_hat, x, axes, eps=eps), dgamma, dbeta


def _last_axes(x: ArrayLike, gamma: ArrayLike) -> tuple[int, ...]:
    x, gamma = as_floats(x, gamma)
    first = max(x.ndim - max(gamma.ndim, 1), 0)
    check_same(gamma.shape, x.shape[first:], name="gamma", why=f"the last axes of x {x.shape}, one or more")
    return tuple(range(first, x.ndim))
