"""GELU: each number times the share of a bell curve that lies below it, a ReLU with a round corner.

Hendrycks and Gimpel 2016, arXiv 1606.08415. Φ is the distribution function of the normal distribution, φ its
density:

    Φ(x) = ½·erfc(−x/√2),  φ(x) = Φ′(x) = e^(−x²/2)/√(2π)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.precision import Array, as_floats
from convscope.reference.shapes import check_same

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
