"""Adam and AdamW, as pure functions: (weights, gradients, state) → (weights, state)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from convscope.reference.arrays import Array, ShapeError, check_same

Weights = dict[str, Array]


def check_gradients(weights: Weights, gradients: Weights) -> None:
    """Refuse gradients that are not one for each weight, of its shape.

    >>> check_gradients({"w": np.ones(2)}, {"w": np.ones(3)})
    Traceback (most recent call last):
    ...
    convscope.reference.arrays.ShapeError: the gradient of w has shape (3,) and needs (2,): that of the weight
    """
    if weights.keys() != gradients.keys():
        wrong = sorted(weights.keys() ^ gradients.keys())
        raise ShapeError(f"every weight has one gradient of its name; without a partner: {', '.join(wrong)}")
    for name, weight in weights.items():
        if weight.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"{name} is {weight.dtype}; weights are float32 or float64, since steps are fractions"
            )
        check_same(
            np.shape(gradients[name]), weight.shape, name=f"the gradient of {name}", why="that of the weight"
        )


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


# MERGED sgd
"""Gradient descent with momentum, as a pure function: (weights, gradients, state) → (weights, state)."""

Velocity = Weights


def sgd(
    weights: Weights,
    gradients: Weights,
    state: Velocity | None,
    *,
    rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> tuple[Weights, Velocity]:
    """One step downhill: g = gradient + λ·w;  v ← µ·v + g;  w ← w − rate·v, or with Nesterov w ← w − rate·(g
    + µ·v).

    λ·w is the gradient of λ/2·|w|², a pull towards 0. v is a running sum of gradients in which one of k steps
    ago still counts µ^k: on a slope that stays it grows to 1/(1 − µ) times the gradient, and what changes its
    sign cancels out. Nesterov looks ahead: the step is taken along the v of the next step, as if g stayed.

    Args:
        weights: arrays by name, float32 or float64; they are not changed.
        gradients: ∂L/∂w by the same names.
        state: v by the same names as the last call returned it; None at the start, where v = 0.
        rate: learning rate, at least 0.
        momentum: µ, from 0 to below 1.
        nesterov: look ahead; needs momentum.
        weight_decay: λ, at least 0.

    Returns:
        the new weights and the new state.

    Raises:
        ShapeError, TypeError: gradients that do not match the weights.
        ValueError: a number out of range.

    >>> import numpy as np
    >>> weights, state = sgd({"w": np.array([1.0])}, {"w": np.array([2.0])}, None, rate=0.1, momentum=0.5)
    >>> weights, state = sgd(weights, {"w": np.array([2.0])}, state, rate=0.1, momentum=0.5)
    >>> weights["w"].round(6).tolist(), state["w"].tolist()
    ([0.5], [3.0])

    Source: Polyak 1964; Nesterov's form after Sutskever, Martens, Dahl and Hinton 2013, ICML, as PyTorch
    writes it.
    """
    check_gradients(weights, gradients)
    if not (rate >= 0 and 0 <= momentum < 1 and weight_decay >= 0):
        raise ValueError(
            f"rate {rate} and weight decay {weight_decay} are at least 0, momentum {momentum} from 0 to "
            f"below 1"
        )
    if nesterov and not momentum:
        raise ValueError("Nesterov looks along the momentum, which is 0; give momentum, such as 0.9")
    new, velocity = {}, {}
    for name, w in weights.items():
        g = gradients[name] + weight_decay * w
        v = g if state is None else momentum * state[name] + g
        new[name] = w - rate * (g + momentum * v if nesterov else v)
        velocity[name] = v
    return new, velocity
