"""Activations, elementwise: ReLU, leaky ReLU, the sigmoid and GELU.

Without one between them, many linear layers equal a single one.

Each takes x of any shape and returns y of that shape; each gradient takes dy = ∂L/∂y and x.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, as_floats, check_same

# NumPy has no erfc. Python's, one number at a time, is exact to the last digit and takes 0.1 µs a number.
_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def relu(x: ArrayLike) -> Array:
    """Keep what is positive and make the rest 0: y = max(x, 0).

    Where x > 0 the derivative is 1 at any depth, so gradients do not fade. Behind a sigmoid they do: its
    derivative is at most 1/4.

    >>> relu([-2, 0, 3]).tolist()
    [0.0, 0.0, 3.0]

    Source: Nair and Hinton 2010, ICML; Glorot, Bordes and Bengio 2011, AISTATS.
    """
    (x,) = as_floats(x)
    return np.maximum(x, 0)


def relu_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """Compute the gradient of `relu`: dx = dy where x > 0, else 0.

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: of any shape, as in `relu`.

    Returns:
        dx, of the shape of x.

    Raises:
        ShapeError: dy of another shape.

    >>> relu_backward([5, 5, 5], [-2, 0, 3]).tolist()
    [0.0, 0.0, 5.0]
    """
    # At the kink every number from 0 to 1 is a subgradient; 0 is PyTorch's choice.
    return leaky_relu_backward(dy, x, negative_slope=0.0)


def leaky_relu(x: ArrayLike, *, negative_slope: float = 0.01) -> Array:
    """Keep what is positive and shrink the rest: y = x where x > 0, else negative_slope·x.

    A unit that is never positive still learns, because its gradient is not 0.

    Args:
        x: of any shape.
        negative_slope: the factor below zero; 0 gives `relu`.

    Returns:
        y, of the shape of x.

    >>> leaky_relu([-2, 0, 3], negative_slope=0.5).tolist()
    [-1.0, 0.0, 3.0]

    Source: Maas, Hannun and Ng 2013, ICML.
    """
    (x,) = as_floats(x)
    return np.where(x > 0, x, negative_slope * x)


def leaky_relu_backward(dy: ArrayLike, x: ArrayLike, *, negative_slope: float = 0.01) -> Array:
    """Compute the gradient of `leaky_relu`: dx = dy where x > 0, else negative_slope·dy.

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: of any shape, as in `leaky_relu`.
        negative_slope: the factor below zero.

    Returns:
        dx, of the shape of x.

    Raises:
        ShapeError: dy of another shape.

    >>> leaky_relu_backward([4, 4], [-2, 3], negative_slope=0.5).tolist()
    [2.0, 4.0]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    return np.where(x > 0, dy, negative_slope * dy)


def sigmoid(x: ArrayLike) -> Array:
    """Map any number to a probability by the logistic curve y = 1/(1 + e^−x).

    e^−x overflows below x = −709 (−88 in float32). Multiplied through with e^x, the same value is e^x/(1 +
    e^x). So e^−|x|, which is at most 1, serves both sides: y = 1/(1 + e^−|x|) for x ≥ 0, e^−|x|/(1 + e^−|x|)
    for x < 0.

    >>> sigmoid([-1000, 0, 1000]).tolist()
    [0.0, 0.5, 1.0]
    """
    (x,) = as_floats(x)
    power = np.exp(-np.abs(x))
    # Both sides divide by 1 + e^−|x|; only the numerator differs.
    y: Array = np.where(x < 0, power, 1) / (1 + power)
    return y


def sigmoid_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """Compute the gradient of `sigmoid`: dx = dy·y·(1 − y) = dy·e^−|x|/(1 + e^−|x|)².

    From y = (1 + e^−x)⁻¹ follows y′ = e^−x/(1 + e^−x)² = y·(1 − y).

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: of any shape, as in `sigmoid`.

    Returns:
        dx, of the shape of x.

    Raises:
        ShapeError: dy of another shape.

    >>> sigmoid_backward([4, 4], [0, 1000]).tolist()
    [1.0, 0.0]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    # 1 − y cancels for large x: at 40 it is 0 in float64, where e^−40 is 4·10⁻¹⁸. y′ is even, so |x| will do.
    power = np.exp(-np.abs(x))
    dx: Array = dy * power / (1 + power) ** 2
    return dx


def gelu(x: ArrayLike) -> Array:
    """Weigh each number by the normal probability of a smaller one, y = x·Φ(x): a ReLU with a round corner.

    Φ is the distribution function of the normal distribution and φ its density:

        Φ(x) = ½·erfc(−x/√2),  φ(x) = Φ′(x) = e^(−x²/2)/√(2π)

    >>> gelu([-1.0, 0.0, 1.0]).round(4).tolist()
    [-0.1587, 0.0, 0.8413]

    Source: Hendrycks and Gimpel 2016, https://arxiv.org/abs/1606.08415, section 2.
    """
    (x,) = as_floats(x)
    return x * _normal_cdf(x)


def gelu_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """Compute the gradient of `gelu` by the product rule: dx = dy·(Φ(x) + x·φ(x)).

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: of any shape, as in `gelu`.

    Returns:
        dx, of the shape of x.

    Raises:
        ShapeError: dy of another shape.

    >>> gelu_backward([1.0, 1.0], [0.0, 1.0]).round(4).tolist()
    [0.5, 1.0833]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    # φ underflows to 0 from |x| = 39 on, where x·φ is 0 to all digits as well.
    density = np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    return dy * (_normal_cdf(x) + x * density)


def gelu_tanh(x: ArrayLike) -> Array:
    """Approximate `gelu` without erf, to within 5·10⁻⁴: y = ½·x·(1 + tanh u), u = √(2/π)·(x + 0.044715·x³).

    GPT-2 and many networks after it were trained with this form. Weights need the form that they were trained
    with.

    >>> gelu_tanh([-1.0, 0.0, 1.0]).round(4).tolist()
    [-0.1588, 0.0, 0.8412]
    """
    (x,) = as_floats(x)
    y: Array = 0.5 * x * (1 + np.tanh(_tanh_argument(x)))
    return y


def gelu_tanh_backward(dy: ArrayLike, x: ArrayLike) -> Array:
    """Compute the gradient of `gelu_tanh`: dx = dy·½·(1 + t + x·(1 − t²)·u′).

    t = tanh u and u′ = √(2/π)·(1 + 3·0.044715·x²), by the product rule and tanh′ = 1 − tanh².

    Args:
        dy: ∂L/∂y, of the shape of x.
        x: of any shape, as in `gelu_tanh`.

    Returns:
        dx, of the shape of x.

    Raises:
        ShapeError: dy of another shape.

    >>> gelu_tanh_backward([1.0, 1.0], [0.0, 1.0]).round(4).tolist()
    [0.5, 1.083]
    """
    x, dy = as_floats(x, dy)
    check_same(dy.shape, x.shape, name="dy", why="that of x")
    t = np.tanh(_tanh_argument(x))
    du = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x**2)
    dx: Array = dy * 0.5 * (1 + t + x * (1 - t**2) * du)
    return dx


def _tanh_argument(x: Array) -> Array:
    """The u of `gelu_tanh`."""
    # √(2/π) gives the right derivative at 0, where Φ′ = 1/√(2π); 0.044715 was fitted.
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)


def _normal_cdf(x: Array) -> Array:
    """Φ, computed in float64 and returned in the type of x."""
    # ½·(1 + erf(x/√2)) would lose every digit on the far left: at −9 it is 0, where Φ is 1·10⁻¹⁹.
    values: Array = 0.5 * _erfc(-x.astype(np.float64) / math.sqrt(2))
    return values.astype(x.dtype)
