"""ReLU and leaky ReLU: a kink at zero, and with it all that many layers can do more than one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, as_floats, check_same


def relu(x: ArrayLike) -> Array:
    """What is positive stays, the rest is 0: y = max(x, 0), number by number, for x of any shape.

    Where x > 0 the slope is 1 whatever the depth, so gradients do not fade as they do behind a sigmoid, whose
    slope is at most 1/4.

    >>> relu([-2, 0, 3]).tolist()
    [0.0, 0.0, 3.0]

    Source: Nair and Hinton 2010, ICML; Glorot, Bordes and Bengio 2011, AISTATS.
    """
    (x,) = as_floats(x)
    return np.maximum(x, 0)


def relu_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """The gradient of `relu`: dx = dy where x > 0, else 0. At the kink every slope from 0 to 1 is one; 0 is
    taken.

    >>> relu_backward([5, 5, 5], [-2, 0, 3]).tolist()
    [0.0, 0.0, 5.0]
    """
    return leaky_relu_backward(dy, x, slope=0.0)


def leaky_relu(x: ArrayLike, *, slope: float = 0.01) -> Array:
    """What is positive stays, the rest is shrunk: y = x where x > 0, else slope·x.

    So a unit that is never positive still learns.

    Args:
        x: of any shape.
        slope: below zero; 0 gives `relu`.

    >>> leaky_relu([-2, 0, 3], slope=0.5).tolist()
    [-1.0, 0.0, 3.0]

    Source: Maas, Hannun and Ng 2013, ICML.
    """
    (x,) = as_floats(x)
    return np.where(x > 0, x, slope * x)


def leaky_relu_backward(dy: ArrayLike, x: ArrayLike, *, slope: float = 0.01) -> Array:
    """The gradient of `leaky_relu`: dx = dy where x > 0, else slope·dy.

    >>> leaky_relu_backward([4, 4], [-2, 3], slope=0.5).tolist()
    [2.0, 4.0]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    return np.where(x > 0, dy, slope * dy)


# MERGED sigmoid
"""The sigmoid: any number as a share between 0 and 1."""


def sigmoid(x: ArrayLike) -> Array:
    """The logistic curve y = 1/(1 + e^−x), number by number, for x of any shape.

    e^−x overflows below −709 (−88 in float32). Multiplied through with e^x the same share is e^x/(1 + e^x),
    so the power of −|x|, which is at most 1, serves both sides: y = 1/(1 + e^−|x|) for x ≥ 0, e^−|x|/(1 +
    e^−|x|) for x < 0.

    >>> sigmoid([-1000, 0, 1000]).tolist()
    [0.0, 0.5, 1.0]
    """
    (x,) = as_floats(x)
    power = np.exp(-np.abs(x))
    y: Array = np.where(x < 0, power, 1) / (1 + power)
    return y


def sigmoid_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """The gradient of `sigmoid`: dx = dy·y·(1 − y) = dy·e^−|x|/(1 + e^−|x|)².

    From y = (1 + e^−x)⁻¹: y′ = e^−x/(1 + e^−x)² = y·(1 − y). The form with |x| has no difference that could
    cancel; it is the same on both sides, since y(−x) = 1 − y(x).

    >>> sigmoid_backward([4, 4], [0, 1000]).tolist()
    [1.0, 0.0]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    power = np.exp(-np.abs(x))
    dx: Array = dy * power / (1 + power) ** 2
    return dx


# MERGED gelu
"""GELU: each number times the share of a bell curve that lies below it, a ReLU with a round corner.

Hendrycks and Gimpel 2016, arXiv 1606.08415. Φ is the distribution function of the normal distribution, φ its
density:

    Φ(x) = ½·erfc(−x/√2),  φ(x) = Φ′(x) = e^(−x²/2)/√(2π)
"""

# NumPy has no erfc. Python's, one number at a time, is exact to the last digit; 0.1 µs a number is the price.
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def gelu(x: ArrayLike) -> Array:
    """The exact form, y = x·Φ(x), number by number, for x of any shape.

    erfc, and not ½·(1 + erf(x/√2)), because 1 + erf loses every digit on the far left: at −9 it is 0 already,
    where Φ is 1·10⁻¹⁹.

    >>> gelu([-1.0, 0.0, 1.0]).round(4).tolist()
    [-0.1587, 0.0, 0.8413]
    """
    (x,) = as_floats(x)
    return x * _normal_cdf(x)


def gelu_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """The gradient of `gelu`, by the product rule: dx = dy·(Φ(x) + x·φ(x)).

    >>> gelu_backward([1.0, 1.0], [0.0, 1.0]).round(4).tolist()
    [0.5, 1.0833]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    density = np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    return dy * (_normal_cdf(x) + x * density)


def gelu_tanh(x: ArrayLike) -> Array:
    """The form without erf, within 5·10⁻⁴ of it: y = ½·x·(1 + tanh u), u = √(2/π)·(x + 0.044715·x³), x of any
    shape.

    The factor √(2/π) gives the right slope at 0, where Φ′ = 1/√(2π); 0.044715 was fitted. GPT-2 and much
    after it was trained with this form, so weights ask for the form they were trained with.

    >>> gelu_tanh([-1.0, 0.0, 1.0]).round(4).tolist()
    [-0.1588, 0.0, 0.8412]
    """
    (x,) = as_floats(x)
    y: Array = 0.5 * x * (1 + np.tanh(_bent(x)))
    return y


def gelu_tanh_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """The gradient of `gelu_tanh`: dx = dy·½·(1 + t + x·(1 − t²)·u′), t = tanh u, u′ = √(2/π)·(1 +
    3·0.044715·x²).

    The product rule, and tanh′ = 1 − tanh².

    >>> gelu_tanh_backward([1.0, 1.0], [0.0, 1.0]).round(4).tolist()
    [0.5, 1.083]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    t = np.tanh(_bent(x))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    dx: Array = dy * 0.5 * (1 + t + x * (1 - t**2) * slope)
    return dx


def _bent(x: Array) -> Array:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def _normal_cdf(x: Array) -> Array:
    """Φ, computed in float64 and given back in the type of x."""
    values: Array = 0.5 * _erfc(-x.astype(np.float64) / math.sqrt(2))
    return values.astype(x.dtype)
