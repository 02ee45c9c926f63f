"""How large random weights have to be, so that neither signals nor gradients fade or explode with depth.

One number of a layer is y = Σ w_i·x_i over its fan-in, the n numbers that it weighs. With independent weights
of mean 0 and variance v, whatever the x,

    Var(y) = n·v·E[x²]

Through L layers the variance is multiplied by (n·v)^L: at n·v = 0.5, twenty layers leave a millionth. It
stays where n·v = 1. Backwards each x receives a gradient from m numbers, its fan-out, and by the same sum the
gradients keep their variance where m·v = 1.

Xavier takes the middle, v = 2/(n + m), for an activation that is like the identity near 0, such as tanh:
Glorot and Bengio 2010, AISTATS, equation 12.

He assumes ReLU: x = max(y′, 0) of a symmetric y′ has E[x²] = ½·Var(y′), so n·v = 2 restores what is cut off.
With a slope a below zero E[x²] = ½·(1 + a²)·Var(y′), so v = 2/((1 + a²)·n): He and others 2015, section 2.2,
https://arxiv.org/abs/1502.01852

A uniform distribution on (−b, b) has the variance b²/3, so it needs b = √(3·v).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from convscope.reference.arrays import Array, ShapeError

Fan = Literal["fan_in", "fan_out"]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Compute fan-in n and fan-out m of weights K×D or C_out×(C_in/groups)×kH×kW.

    The fan-in of a convolution is C_in/groups·kH·kW. The fan-out counts as C_out·kH·kW, as in PyTorch; with
    stride 1 and one group that many numbers see a pixel.

    >>> fans((84, 120)), fans((16, 6, 5, 5))
    ((120, 84), (150, 400))
    """
    if len(shape) < 2 or 0 in shape:
        raise ShapeError(
            f"weights are K×D or C_out×C_in×kH×kW, none of them 0; given: {shape}; biases start at 0"
        )
    # math.prod(()) is 1: a dense layer is a convolution with a kernel of one tap.
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] * taps


def xavier_uniform(
    shape: tuple[int, ...], rng: np.random.Generator, *, gain: float = 1.0, dtype: DTypeLike = np.float64
) -> Array:
    """Draw weights from (−b, b), b = gain·√(6/(n + m)), whose variance is gain²·2/(n + m).

    Args:
        shape: K×D or C_out×C_in×kH×kW.
        rng: the source of random numbers; the same state gives the same weights.
        gain: compensates an activation that shrinks its input, such as 5/3 for tanh; above 0.
        dtype: float32 or float64.

    Returns:
        Weights of `shape`.

    Raises:
        ShapeError: fewer than two axes, or one of length 0.

    >>> xavier_uniform((100, 200), np.random.default_rng(0)).var().round(3).item()  # 2/300
    0.007
    """
    # v = 2/(n + m), the harmonic mean of 1/n and 1/m.
    return _uniform(shape, rng, gain**2 * 2 / sum(fans(shape)), dtype)


def xavier_normal(
    shape: tuple[int, ...], rng: np.random.Generator, *, gain: float = 1.0, dtype: DTypeLike = np.float64
) -> Array:
    """Draw weights from the normal distribution of variance gain²·2/(n + m).

    Args:
        shape: K×D or C_out×C_in×kH×kW.
        rng: the source of random numbers.
        gain: compensates an activation that shrinks its input; above 0.
        dtype: float32 or float64.

    Returns:
        Weights of `shape`.

    Raises:
        ShapeError: fewer than two axes, or one of length 0.

    >>> xavier_normal((100, 200), np.random.default_rng(0)).var().round(3).item()
    0.007
    """
    return _normal(shape, rng, gain**2 * 2 / sum(fans(shape)), dtype)


def he_uniform(
    shape: tuple[int, ...],
    rng: np.random.Generator,
    *,
    mode: Fan = "fan_in",
    negative_slope: float = 0.0,
    dtype: DTypeLike = np.float64,
) -> Array:
    """Draw weights from (−b, b), b = √(6/((1 + a²)·n)), whose variance is 2/((1 + a²)·n).

    Args:
        shape: K×D or C_out×C_in×kH×kW.
        rng: the source of random numbers.
        mode: "fan_in" keeps the variance of signals, "fan_out" (m in place of n) that of gradients.
        negative_slope: a, of the leaky ReLU behind the layer; 0 for ReLU.
        dtype: float32 or float64.

    Returns:
        Weights of `shape`.

    Raises:
        ShapeError: fewer than two axes, or one of length 0.
        ValueError: an unknown mode.

    >>> he_uniform((100, 200), np.random.default_rng(0)).var().round(3).item()  # 2/200
    0.01
    """
    return _uniform(shape, rng, _he_variance(shape, mode, negative_slope), dtype)


def he_normal(
    shape: tuple[int, ...],
    rng: np.random.Generator,
    *,
    mode: Fan = "fan_in",
    negative_slope: float = 0.0,
    dtype: DTypeLike = np.float64,
) -> Array:
    """Draw weights from the normal distribution of variance 2/((1 + a²)·n).

    Args:
        shape: K×D or C_out×C_in×kH×kW.
        rng: the source of random numbers.
        mode: "fan_in" keeps the variance of signals, "fan_out" (m in place of n) that of gradients.
        negative_slope: a, of the leaky ReLU behind the layer; 0 for ReLU.
        dtype: float32 or float64.

    Returns:
        Weights of `shape`.

    Raises:
        ShapeError: fewer than two axes, or one of length 0.
        ValueError: an unknown mode.

    >>> he_normal((100, 200), np.random.default_rng(0), mode="fan_out").var().round(3).item()  # 2/100
    0.02
    """
    return _normal(shape, rng, _he_variance(shape, mode, negative_slope), dtype)


def _he_variance(shape: tuple[int, ...], mode: Any, negative_slope: float) -> float:
    """The v of He's argument, 2/((1 + a²)·n) or with m in place of n."""
    if mode not in {"fan_in", "fan_out"}:
        raise ValueError(f"mode is {mode!r}; allowed: 'fan_in' for signals, 'fan_out' for gradients")
    n, m = fans(shape)
    # Either will do: n/m multiplies out over the layers to a ratio of the first and last widths.
    return 2 / ((1 + negative_slope**2) * (n if mode == "fan_in" else m))


def _uniform(shape: tuple[int, ...], rng: np.random.Generator, variance: float, dtype: DTypeLike) -> Array:
    """Uniform numbers of mean 0 and the variance."""
    bound = math.sqrt(3 * variance)
    # Drawn in float64 and then rounded, so that both types start from the same weights.
    return rng.uniform(-bound, bound, shape).astype(dtype)


def _normal(shape: tuple[int, ...], rng: np.random.Generator, variance: float, dtype: DTypeLike) -> Array:
    """Normal numbers of mean 0 and the variance."""
    return (rng.standard_normal(shape) * math.sqrt(variance)).astype(dtype)
