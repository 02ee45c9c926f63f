"""Layer, group and instance norm: each image for itself gets mean 0 and variance 1, whatever the batch.

Layer norm (Ba, Kiros and Hinton 2016, https://arxiv.org/abs/1607.06450) averages over a whole image. In
transformers and in ConvNeXt it runs over the channels alone, which are then the last axis.

Group norm averages over groups of channels. It lies between layer norm over an image (G = 1) and instance
norm, each map for itself (G = C). Unlike batch norm it does not depend on the size of the batch: Wu and He
2018, https://arxiv.org/abs/1803.08494. Instance norm takes the contrast out of an image, as style transfer
needs it: Ulyanov, Vedaldi and Lempitsky 2016, https://arxiv.org/abs/1607.08022.

Legend: N images, C channels, G groups; mean μ, variance σ², scale γ, shift β, x̂ = (x − μ)/σ.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, as_floats, check_groups, check_maps, check_same
from convscope.reference.normalisation.standardise import (
    scale_and_shift,
    scale_and_shift_backward,
    standardise,
    standardise_backward,
)

IN_A_GROUP = (2, 3, 4)  # of N × G × C/G × H × W


def layer_norm(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, eps: float = 1e-5) -> Array:
    """Normalise each image (or row) for itself: y = γ·(x − μ)/√(σ² + ε) + β.

    μ and σ² run over the last axes of x, as many as γ has.

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
    # The same axes twice: those of the mean are also those of γ.
    return scale_and_shift(standardise(x, axes, eps=eps), gamma, beta, axes=axes)


def layer_norm_backward(
    dy: ArrayLike, x: ArrayLike, gamma: ArrayLike, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `layer_norm`.

    With dx̂ = γ·dy: dx = (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))/σ, dγ = Σ dy·x̂, dβ = Σ dy. The means run over the axes
    of one image, as `standardise` derives them. The sums run over everything that shares a γ: the images.

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: as in `layer_norm`, and so the rest.
        gamma: γ, of the lengths of the last axes of x.
        eps: ε, added to the variance.

    Returns:
        (dx, dγ, dβ), of the shapes of x, γ and γ.

    Raises:
        ShapeError: sizes that do not fit.

    >>> layer_norm_backward([[1, 0, 0]], [[0, 3, 6]], [1, 1, 1])[2].tolist()
    [1.0, 0.0, 0.0]
    """
    axes = _last_axes(x, gamma)
    # γ differs within a group, so it stays inside the means; in batch norm it could stand in front.
    dx_hat, dgamma, dbeta = scale_and_shift_backward(dy, standardise(x, axes, eps=eps), gamma, axes=axes)
    return standardise_backward(dx_hat, x, axes, eps=eps), dgamma, dbeta


def group_norm(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, groups: int, eps: float = 1e-5) -> Array:
    """Normalise each group of channels of an image for itself: y = γ·(x − μ)/√(σ² + ε) + β.

    μ and σ² are those of an image, over C/G channels and all their pixels.

    Args:
        x: maps, N×C×H×W.
        gamma: γ, C numbers; 1 at the start.
        beta: β, C numbers; 0 at the start.
        groups: G, which divides C.
        eps: ε, added to the variance.

    Returns:
        y, N×C×H×W.

    Raises:
        ShapeError: sizes that do not fit, or a single number to take the variance of.

    >>> group_norm([[[[1]], [[3]], [[10]], [[14]]]], [1] * 4, [0] * 4, groups=2, eps=0.0).ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    (x,) = as_floats(x)
    x_hat = standardise(_grouped(x, groups), IN_A_GROUP, eps=eps).reshape(x.shape)
    # γ and β are one a channel, not one a group: the axis of the channels is the second again.
    return scale_and_shift(x_hat, gamma, beta, axes=(1,))


def group_norm_backward(
    dy: ArrayLike, x: ArrayLike, gamma: ArrayLike, *, groups: int, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `group_norm`.

    With dx̂ = γ·dy: dx = (dx̂ − mean(dx̂) − x̂·mean(dx̂·x̂))/σ, dγ = Σ dy·x̂, dβ = Σ dy. The means run over a group,
    as `standardise` derives them, the sums over the images and pixels of a channel.

    Args:
        dy: ∂L/∂y, N×C×H×W.
        x: maps, N×C×H×W, as in `group_norm`, and so the rest.
        gamma: γ, C numbers.
        groups: G, which divides C.
        eps: ε, added to the variance.

    Returns:
        (dx, dγ, dβ), of the shapes of x, γ and γ.

    Raises:
        ShapeError: sizes that do not fit.

    >>> x = [[[[1.0, 3.0]], [[10.0, 14.0]]]]
    >>> [g.shape for g in group_norm_backward(x, x, [1, 1], groups=2)]
    [(1, 2, 1, 2), (2,), (2,)]
    """
    (x,) = as_floats(x)
    grouped = _grouped(x, groups)
    x_hat = standardise(grouped, IN_A_GROUP, eps=eps).reshape(x.shape)
    dx_hat, dgamma, dbeta = scale_and_shift_backward(dy, x_hat, gamma, axes=(1,))
    # dx̂ is regrouped like x, because its means run over a group and not over a channel.
    dx = standardise_backward(dx_hat.reshape(grouped.shape), grouped, IN_A_GROUP, eps=eps)
    return dx.reshape(x.shape), dgamma, dbeta


def instance_norm(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, eps: float = 1e-5) -> Array:
    """Normalise each map of an image for itself: group norm with one channel a group.

    Args:
        x: maps, N×C×H×W with more than one pixel.
        gamma: γ, C numbers.
        beta: β, C numbers.
        eps: ε, added to the variance.

    Returns:
        y, N×C×H×W.

    Raises:
        ShapeError: sizes that do not fit, or maps of one pixel.

    >>> instance_norm([[[[1, 3]], [[10, 14]]]], [1, 1], [0, 0], eps=0.0).ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """
    return group_norm(x, gamma, beta, groups=_channels(x), eps=eps)


def instance_norm_backward(
    dy: ArrayLike, x: ArrayLike, gamma: ArrayLike, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `instance_norm`: those of `group_norm` with G = C.

    Args:
        dy: ∂L/∂y, N×C×H×W.
        x: maps, N×C×H×W, as in `instance_norm`, and so the rest.
        gamma: γ, C numbers.
        eps: ε, added to the variance.

    Returns:
        (dx, dγ, dβ), of the shapes of x, γ and γ.

    Raises:
        ShapeError: sizes that do not fit.

    >>> dx, _, _ = instance_norm_backward([[[[1, 0]]]], [[[[1, 3]]]], [1], eps=0.0)
    >>> dx.ravel().tolist()
    [0.0, 0.0]
    """
    return group_norm_backward(dy, x, gamma, groups=_channels(x), eps=eps)


def _last_axes(x: ArrayLike, gamma: ArrayLike) -> tuple[int, ...]:
    """The last axes of x, as many as γ has."""
    x, gamma = as_floats(x, gamma)
    # A γ without axes is refused below: () never equals the length of a last axis.
    first = max(x.ndim - max(gamma.ndim, 1), 0)
    check_same(gamma.shape, x.shape[first:], name="gamma", why=f"the last axes of x {x.shape}, one or more")
    return tuple(range(first, x.ndim))


def _channels(x: ArrayLike) -> int:
    """The C of N×C×H×W."""
    (x,) = as_floats(x)
    check_maps(x)
    return int(x.shape[1])


def _grouped(x: Array, groups: int) -> Array:
    """N×C×H×W as N × G × C/G × H × W."""
    check_maps(x)
    n, c, h, w = x.shape
    check_groups(groups, c, name="C")
    # Neighbouring channels form a group, as in PyTorch, so a reshape is enough and copies nothing.
    return x.reshape(n, groups, c // groups, h, w)
