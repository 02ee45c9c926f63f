"""The sigmoid: any number as a share between 0 and 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.precision import Array, as_floats
from convscope.reference.shapes import check_same


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
