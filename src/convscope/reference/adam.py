"""Adam and AdamW, as pure functions: (weights, gradients, state) → (weights, state)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convscope.reference.precision import Array
from convscope.reference.weights import Weights, check_gradients


@dataclass(frozen=True)
class Moments:
    """What Adam remembers: `first`, the running mean of g, `second`, that of g², and the steps that went into
    them.
    """

    step: int
    first: Weights
    second: Weights


def adam(
    weights: Weights,
    gradients: Weights,
    state: Moments | None,
    *,
    rate: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
) -> tuple[Weights, Moments]:
    """One step in which each weight has a step length of its own: w ← w − rate·m̂/(√v̂ + ε).

        g = gradient + λ·w;  m ← β₁·m + (1 − β₁)·g;  v ← β₂·v + (1 − β₂)·g²
        m̂ = m/(1 − β₁^t);    v̂ = v/(1 − β₂^t),       t = 1, 2, …

    m is a mean over the last 1/(1 − β₁) gradients or so, v over their squares. Both start at 0, so are small
    at first: in step t the coefficients of the gradients sum to 1 − β^t, so m̂ and v̂ are divided by it.
    Where the gradient is steady |m̂| = √v̂, and the weight moves by the rate, whatever the scale of the loss.

    Args:
        weights: arrays by name, float32 or float64; they are not changed.
        gradients: ∂L/∂w by the same names.
        state: as the last call returned it; None at the start.
        rate: learning rate, at least 0.
        betas: β₁ and β₂, each from 0 to below 1.
        eps: ε, above 0, which bounds the step where v̂ is 0.
        weight_decay: λ, at least 0. As a part of g it is divided by √v̂ as well; `adamw` keeps it apart.

    Returns:
        the new weights and the new state.

    Raises:
        ShapeError, TypeError: gradients that do not match the weights.
        ValueError: a number out of range.

    >>> weights, state = adam({"w": np.array([1.0, 1.0])}, {"w": np.array([100.0, -0.01])}, None, rate=0.1)
    >>> weights["w"].round(5).tolist(), state.step
    ([0.9, 1.1], 1)

    Source: Kingma and Ba 2014, arXiv 1412.6980.
    """
    check_gradients(weights, gradients)
    _check_numbers(rate, betas, eps, weight_decay)
    decayed = {name: gradients[name] + weight_decay * w for name, w in weights.items()}
    moments = _remember(decayed, state, betas)
    return {name: w - rate * _direction(moments, name, betas, eps) for name, w in weights.items()}, moments


def adamw(
    weights: Weights,
    gradients: Weights,
    state: Moments | None,
    *,
    rate: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.01,
) -> tuple[Weights, Moments]:
    """Adam with the decay beside it: w ← (1 − rate·λ)·w − rate·m̂/(√v̂ + ε), m̂ and v̂ from the plain
    gradient.

    In `adam` a weight with large gradients hardly decays, since λ·w is divided by their size. Taken from the
    weight itself the decay is the same share for all.

    Args:
        weights: arrays by name, float32 or float64; they are not changed.
        gradients: ∂L/∂w by the same names.
        state: as the last call returned it; None at the start.
        rate: learning rate, at least 0.
        betas: β₁ and β₂, each from 0 to below 1.
        eps: ε, above 0.
        weight_decay: λ, at least 0.

    Returns:
        the new weights and the new state.

    Raises:
        ShapeError, TypeError, ValueError: as `adam`.

    >>> weights, _ = adamw({"w": np.array([1.0])}, {"w": np.array([0.0])}, None, rate=0.1, weight_decay=0.5)
    >>> weights["w"].tolist()
    [0.95]

    Source: Loshchilov and Hutter 2017, arXiv 1711.05101, with λ times the rate, as PyTorch has it.
    """
    check_gradients(weights, gradients)
    _check_numbers(rate, betas, eps, weight_decay)
    moments = _remember(gradients, state, betas)
    keep = 1 - rate * weight_decay
    return {
        name: keep * w - rate * _direction(moments, name, betas, eps) for name, w in weights.items()
    }, moments


def _remember(gradients: Weights, state: Moments | None, betas: tuple[float, float]) -> Moments:
    """The running means with one more gradient."""
    if state is None:
        zeros = {name: np.zeros_like(g) for name, g in gradients.items()}
        state = Moments(0, zeros, zeros)
    first = {name: betas[0] * state.first[name] + (1 - betas[0]) * g for name, g in gradients.items()}
    second = {name: betas[1] * state.second[name] + (1 - betas[1]) * g**2 for name, g in gradients.items()}
    return Moments(state.step + 1, first, second)


def _direction(moments: Moments, name: str, betas: tuple[float, float], eps: float) -> Array:
    """m̂/(√v̂ + ε)."""
    m_hat = moments.first[name] / (1 - betas[0] ** moments.step)
    root = np.sqrt(moments.second[name]) / math.sqrt(1 - betas[1] ** moments.step)
    return m_hat / (root + eps)


def _check_numbers(rate: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
    if not (rate >= 0 and weight_decay >= 0 and eps > 0 and all(0 <= beta < 1 for beta in betas)):
        raise ValueError(
            f"rate {rate} and weight decay {weight_decay} are at least 0, eps {eps} is above 0, "
            f"betas {betas} are from 0 to below 1"
        )
