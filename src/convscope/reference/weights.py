"""What optimisers work on: arrays by name, and gradients of the same names and shapes."""

from __future__ import annotations

import numpy as np

from convscope.reference.precision import Array
from convscope.reference.shapes import ShapeError, check_same

Weights = dict[str, Array]


def check_gradients(weights: Weights, gradients: Weights) -> None:
    """Refuse gradients that are not one for each weight, of its shape.

    >>> check_gradients({"w": np.ones(2)}, {"w": np.ones(3)})
    Traceback (most recent call last):
    ...
    convscope.reference.shapes.ShapeError: the gradient of w has shape (3,) and needs (2,): that of the weight
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
