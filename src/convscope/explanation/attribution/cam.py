"""Class activation maps: the mathematics, in NumPy, from a layer's maps and the gradients of a logit over
them.

A map A_c says where the network saw what it calls c; a class activation map adds the maps up, weighted by
what each does for the logit y of one class. The methods differ in the weights alone. All take maps N×C×h×w
and, where they need them, gradients ∂y/∂A of the same shape, and give N×h×w before any ReLU: what is below
zero speaks against the class.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.floating[Any]]
ROUNDING = 1e-5
"""Maps that differ from place to place by less than this share of the largest number are the same; float32
sums err.
"""


def weighted(maps: Array, weights: Array) -> Array:
    """Σ_c w_c · A_c: maps N×C×h×w and weights N×C to N×h×w.

    >>> weighted(np.ones((1, 2, 1, 1)), np.array([[3.0, 4.0]])).tolist()
    [[[7.0]]]
    """
    n, c, h, w = maps.shape
    summed: Array = np.matmul(weights[:, None], maps.reshape(n, c, h * w)).reshape(n, h, w)
    return summed


def grad_cam(maps: Array, gradients: Array) -> Array:
    """w_c = the mean of ∂y/∂A_c over all places (Selvaraju and others 2017, arXiv 1610.02391).

    >>> grad_cam(np.array([[[[1.0, 2.0]]]]), np.array([[[[0.0, 4.0]]]])).tolist()
    [[[2.0, 4.0]]]
    """
    return weighted(maps, gradients.mean(axis=(2, 3)))


def grad_cam_plus_plus(maps: Array, gradients: Array) -> Array:
    """w_c = Σ α · max(∂y/∂A_c, 0), with α = g² / (2g² + g³ · Σ A_c) for the gradient g at each place.

    The weights that Chattopadhay and others (2018, arXiv 1710.11063) derive from exp(y), by which every power
    of the gradient is that of the logit itself.
    """
    squares = gradients**2
    total = maps.sum(axis=(2, 3), keepdims=True)
    below = 2 * squares + squares * gradients * total
    share = np.divide(squares, below + 1e-6, out=np.zeros_like(squares), where=gradients != 0)
    return weighted(maps, (share * np.maximum(gradients, 0)).sum(axis=(2, 3)))


def layer_cam(maps: Array, gradients: Array) -> Array:
    """Σ_c max(∂y/∂A_c, 0) · A_c place by place, so that early layers can be shown (Jiang and others 2021)."""
    summed: Array = (np.maximum(gradients, 0) * maps).sum(axis=1)
    return summed


def eigen_cam(maps: Array) -> Array:
    """The maps projected on their first principal direction: what they have in common, whatever the class.

    The sign of a direction means nothing; it is chosen so that the result rises with the mean of the maps.
    Maps that are the same at all places have no direction and give 0, maps with NaN or infinity give NaN.
    Muhammad and Yeasin 2020, arXiv 2008.00299.

    >>> eigen_cam(np.array([[[[0.0, 1.0, 5.0]], [[1.0, 1.0, 1.0]]]])).tolist()
    [[[-2.0, -1.0, 3.0]]]
    """
    n, c, h, w = maps.shape
    finite = np.asarray(np.isfinite(maps).all(axis=(1, 2, 3)))
    places = np.where(
        finite[:, None, None], maps.reshape(n, c, h * w).transpose(0, 2, 1), 0
    )  # SVD takes no NaN
    centred = places - places.mean(axis=1, keepdims=True)
    varied = np.abs(centred).max(axis=(1, 2)) > ROUNDING * np.abs(places).max(axis=(1, 2))
    direction = np.linalg.svd(centred, full_matrices=False)[2][:, :1]
    projected = (centred @ direction.transpose(0, 2, 1))[..., 0]
    sign = np.where((projected * centred.mean(axis=2)).sum(axis=1) < 0, -1, 1)
    scale = np.where(finite, np.where(varied, sign, 0), np.nan).astype(maps.dtype)
    turned: Array = (projected * scale[:, None]).reshape(n, h, w)
    return turned
