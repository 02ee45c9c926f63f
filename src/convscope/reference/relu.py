"""ReLU and leaky ReLU: a kink at zero, and with it all that many layers can do more than one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.precision import Array, as_floats
from convscope.reference.shapes import check_same


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
