"""Batch norm: each channel gets mean 0 and variance 1 over the batch, then its own scale and shift.

Why it helps is disputed. Ioffe and Szegedy 2015 (https://arxiv.org/abs/1502.03167) meant it to steady the
distribution that each layer sees. Santurkar and others 2018 (https://arxiv.org/abs/1805.11604) upset those
distributions on purpose and found no harm; they explain the gain by smoother losses, which allow larger
steps.
Undisputed is what follows from the formula: the scale of the weights in front of it does not matter any more.

In training the output for an image depends on the other images of its batch. A prediction must not, so
training keeps running statistics, and evaluation uses these.

Legend: N images, C channels, m = N·H·W numbers a channel; mean μ, variance σ², scale γ, shift β.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, ShapeError, as_floats, check_same
from convscope.reference.normalisation.standardise import (
    scale_and_shift,
    scale_and_shift_backward,
    standardise,
    standardise_backward,
)


def batch_norm(x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, eps: float = 1e-5) -> Array:
    """Normalise each channel over the whole batch, in training: y = γ·(x − μ)/√(σ² + ε) + β.

    μ and σ² are those of a channel, over all images and pixels of the batch.

    Args:
        x: N×C×H×W, or N×C behind a linear layer.
        gamma: γ, C numbers; 1 at the start.
        beta: β, C numbers; 0 at the start.
        eps: ε, added to the variance.

    Returns:
        y, of the shape of x. `running_statistics` gives the running statistics.

    Raises:
        ShapeError: sizes that do not fit, or a single number a channel, which has no variance.

    >>> batch_norm([[1.0], [3.0]], [2.0], [5.0], eps=0.0).tolist()
    [[3.0], [7.0]]
    """
    # γ = σ and β = μ would undo the norm: it takes no function away from the network.
    return scale_and_shift(standardise(x, _over(x), eps=eps), gamma, beta, axes=(1,))


def batch_norm_backward(
    dy: ArrayLike, x: ArrayLike, gamma: ArrayLike, *, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `batch_norm`.

        dγ = Σ dy·x̂,  dβ = Σ dy,  dx = γ/σ · (dy − mean(dy) − x̂·mean(dy·x̂))

    The chain rule runs backwards through the two steps: first `scale_and_shift`, which gives dγ, dβ and dx̂ =
    γ·dy, then `standardise`, whose docstring derives the bracket. In it mean(dy) = dβ/m and mean(dy·x̂) =
    dγ/m.

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: N×C×H×W or N×C, as in `batch_norm`, and so the rest.
        gamma: γ, C numbers.
        eps: ε, added to the variance.

    Returns:
        (dx, dγ, dβ), of the shapes of x, γ and γ.

    Raises:
        ShapeError: sizes that do not fit.

    >>> dx, dgamma, dbeta = batch_norm_backward([[1.0], [0.0]], [[1.0], [3.0]], [2.0], eps=0.0)
    >>> dx.tolist(), dgamma.tolist(), dbeta.tolist()
    ([[0.0], [0.0]], [-1.0], [1.0])
    """
    axes = _over(x)
    # x̂ is computed anew: twice the arithmetic, but nothing has to be kept between forward and backward.
    dx_hat, dgamma, dbeta = scale_and_shift_backward(dy, standardise(x, axes, eps=eps), gamma, axes=(1,))
    return standardise_backward(dx_hat, x, axes, eps=eps), dgamma, dbeta


def running_statistics(
    x: ArrayLike, mean: ArrayLike, var: ArrayLike, *, momentum: float = 0.1
) -> tuple[Array, Array]:
    """Move the mean and the variance of evaluation a step towards those of this batch.

        mean ← (1 − a)·mean + a·μ;  var ← (1 − a)·var + a·σ²·m/(m − 1)

    An old batch weighs (1 − a)^steps: the statistics follow the weights and forget.

    Args:
        x: the input of `batch_norm`, N×C×H×W or N×C.
        mean: C numbers; 0 at the start.
        var: C numbers; 1 at the start.
        momentum: a, from 0 (keep) to 1 (take the batch's), as in PyTorch. Keras calls 1 − a the momentum.

    Returns:
        The new mean and variance, C numbers each.

    Raises:
        ShapeError: sizes that do not fit, or a single number a channel.
        ValueError: momentum out of range.

    >>> mean, var = running_statistics([[1.0], [3.0]], [0.0], [1.0])
    >>> round(mean.item(), 6), round(var.item(), 6)
    (0.2, 1.1)
    """
    x, mean, var = as_floats(x, mean, var)
    axes = _over(x)
    if not 0.0 <= momentum <= 1.0:
        raise ValueError(
            f"momentum is {momentum}; it is the fraction of the new batch, from 0 to 1, such as 0.1"
        )
    _check_statistics(x, mean, var)
    m = x.size // x.shape[1]
    if m < 2:
        raise ShapeError(
            f"a variance of m = {m} number(s) a channel has no estimate: m - 1 divides; give more images"
        )
    # The unbiased estimate: around its own mean a batch varies less than the data, by (m − 1)/m on average.
    unbiased = x.var(axis=axes) * (m / (m - 1))
    return (1 - momentum) * mean + momentum * x.mean(axis=axes), (1 - momentum) * var + momentum * unbiased


def batch_norm_eval(
    x: ArrayLike, gamma: ArrayLike, beta: ArrayLike, *, mean: ArrayLike, var: ArrayLike, eps: float = 1e-5
) -> Array:
    """Normalise each channel by its running statistics, in evaluation: y = γ·(x − mean)/√(var + ε) + β.

    This is a scale and a shift of each channel. Being linear, it can be folded into the convolution in front
    of it, which saves its time in a finished network.

    Args:
        x: N×C×H×W or N×C.
        gamma: γ, C numbers.
        beta: β, C numbers.
        mean: the running mean, C numbers.
        var: the running variance, C numbers, at least 0.
        eps: ε, as in training.

    Returns:
        y, of the shape of x.

    Raises:
        ShapeError: sizes that do not fit.

    >>> batch_norm_eval([[3.0]], [2.0], [5.0], mean=[1.0], var=[4.0], eps=0.0).tolist()
    [[7.0]]
    """
    return scale_and_shift(_with_statistics(x, mean, var, eps), gamma, beta, axes=(1,))


def batch_norm_eval_backward(
    dy: ArrayLike, x: ArrayLike, gamma: ArrayLike, *, mean: ArrayLike, var: ArrayLike, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `batch_norm_eval`: dx = γ·dy/√(var + ε), dγ = Σ dy·x̂, dβ = Σ dy.

    The statistics are constants and do not depend on x, so the bracket of training falls away. Fine-tuning
    with frozen statistics uses this form.

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: N×C×H×W or N×C, as in `batch_norm_eval`, and so the rest.
        gamma: γ, C numbers.
        mean: the running mean, C numbers.
        var: the running variance, C numbers, at least 0.
        eps: ε, as in training.

    Returns:
        (dx, dγ, dβ), of the shapes of x, γ and γ.

    Raises:
        ShapeError: sizes that do not fit.

    >>> dx, dgamma, dbeta = batch_norm_eval_backward([[1.0]], [[3.0]], [2.0], mean=[1.0], var=[4.0], eps=0.0)
    >>> dx.item(), dgamma.item(), dbeta.item()
    (1.0, 1.0, 1.0)
    """
    x_hat = _with_statistics(x, mean, var, eps)
    dx_hat, dgamma, dbeta = scale_and_shift_backward(dy, x_hat, gamma, axes=(1,))
    x, var = as_floats(x, var)
    # The same scale as forward, without the shift: a constant has no gradient.
    return scale_and_shift(dx_hat, 1 / np.sqrt(var + eps), np.zeros_like(var), axes=(1,)), dgamma, dbeta


def _with_statistics(x: ArrayLike, mean: ArrayLike, var: ArrayLike, eps: float) -> Array:
    """The x̂ of evaluation, (x − mean)/√(var + ε)."""
    x, mean, var = as_floats(x, mean, var)
    _over(x)
    _check_statistics(x, mean, var)
    # x − mean first: x·scale − mean·scale is the difference of two large numbers where the mean is large.
    centred = scale_and_shift(x, np.ones_like(mean), -mean, axes=(1,))
    return scale_and_shift(centred, 1 / np.sqrt(var + eps), np.zeros_like(var), axes=(1,))


def _check_statistics(x: Array, mean: Array, var: Array) -> None:
    """Refuse statistics that are not one number a channel."""
    for name, values in (("mean", mean), ("var", var)):
        check_same(values.shape, x.shape[1:2], name=name, why="C, one a channel")


def _over(x: ArrayLike) -> tuple[int, ...]:
    """The axes of one channel: all but the second."""
    dims = np.ndim(x)
    # N×L×C is refused: its second axis is a sequence, and normalising it would be silently wrong.
    if dims not in {2, 4}:
        raise ShapeError(f"batch norm needs x as N×C×H×W or N×C; given: {np.shape(x)}")
    # Axis 1 is the channel; images and pixels are averaged over.
    return (0, *range(2, dims))
