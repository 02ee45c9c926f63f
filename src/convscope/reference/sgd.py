"""Gradient descent with momentum, as a pure function: (weights, gradients, state) → (weights, state)."""

from __future__ import annotations

from convscope.reference.weights import Weights, check_gradients

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
