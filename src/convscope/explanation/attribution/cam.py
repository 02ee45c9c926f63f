"""Class activation maps: the formulas, from a layer's feature maps and the gradients of a logit.

A feature map A_d says where the network saw what it calls d; a class activation map adds them up, weighted by
what each does for the logit y of one class. The methods differ in the weights alone. All take feature maps
N×D×h×w and, where they need them, gradients ∂y/∂A of the same shape, and give N×h×w before any ReLU: what is
below zero speaks against the class.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from convscope.explanation.explained_model import HeatMaps
from convscope.explanation.probe import Floats

ROUNDING = 1e-5
"""Feature maps that differ by less than this fraction of the largest number are constant up to rounding."""


def weighted(maps: Floats, weights: Floats) -> HeatMaps:
    """Σ_d w_d · A_d: feature maps N×D×h×w and weights N×D to N×h×w.

    >>> weighted(np.ones((1, 2, 1, 1)), np.array([[3.0, 4.0]])).tolist()
    [[[7.0]]]
    """
    n, d, h, w = maps.shape
    summed: HeatMaps = np.matmul(weights[:, None], maps.reshape(n, d, h * w)).reshape(n, h, w)
    return summed


def grad_cam(maps: Floats, gradients: Floats) -> HeatMaps:
    """w_d = the mean of ∂y/∂A_d over all positions (Selvaraju and others 2017, arXiv 1610.02391).

    >>> grad_cam(np.array([[[[1.0, 2.0]]]]), np.array([[[[0.0, 4.0]]]])).tolist()
    [[[2.0, 4.0]]]
    """
    # The mean and not the sum: a factor h·w would change nothing but the scale.
    return weighted(maps, gradients.mean(axis=(2, 3)))


def grad_cam_plus_plus(maps: Floats, gradients: Floats) -> HeatMaps:
    """w_d = Σ α · max(∂y/∂A_d, 0), with α = g² / (2g² + g³ · Σ A_d) for the gradient g at each position.

    The weights that Chattopadhay and others (2018, arXiv 1710.11063) derive from exp(y), by which every power
    of the gradient is that of the logit itself.
    """
    squares = gradients**2
    total = maps.sum(axis=(2, 3), keepdims=True)
    # Positions of gradient 0 have no weight; 1e-6 is that of pytorch-grad-cam, for sums that cancel.
    below = 2 * squares + squares * gradients * total
    alpha = np.divide(squares, below + 1e-6, out=np.zeros_like(squares), where=gradients != 0)
    return weighted(maps, (alpha * np.maximum(gradients, 0)).sum(axis=(2, 3)))


def layer_cam(maps: Floats, gradients: Floats) -> HeatMaps:
    """Σ_d max(∂y/∂A_d, 0) · A_d, so that early layers can be shown, too (Jiang and others 2021)."""
    summed: HeatMaps = (np.maximum(gradients, 0) * maps).sum(axis=1)
    return summed


def eigen_cam(maps: Floats) -> HeatMaps:
    """The feature maps on their first principal direction: what they have in common, whatever the class.

    The sign of a direction means nothing; it is chosen so that the result rises with their mean. Maps
    that are the same at all positions have no direction and give 0, maps with NaN or infinity give NaN.
    Muhammad and Yeasin 2020, arXiv 2008.00299.

    >>> eigen_cam(np.array([[[[0.0, 1.0, 5.0]], [[1.0, 1.0, 1.0]]]])).tolist()
    [[[-2.0, -1.0, 3.0]]]
    """
    n, d, h, w = maps.shape
    finite = np.asarray(np.isfinite(maps).all(axis=(1, 2, 3)))
    # SVD takes no NaN.
    positions = np.where(finite[:, None, None], maps.reshape(n, d, h * w).transpose(0, 2, 1), 0)
    centred = positions - positions.mean(axis=1, keepdims=True)
    varied = np.abs(centred).max(axis=(1, 2)) > ROUNDING * np.abs(positions).max(axis=(1, 2))
    # The rows of Vᵗ are directions over the D maps, the one of most variance first.
    direction = np.linalg.svd(centred, full_matrices=False)[2][:, :1]
    projected = (centred @ direction.transpose(0, 2, 1))[..., 0]
    # LAPACK gives either sign, and which one may change from one build to the next.
    sign = np.where((projected * centred.mean(axis=2)).sum(axis=1) < 0, -1, 1)
    scale = np.where(finite, np.where(varied, sign, 0), np.nan).astype(maps.dtype)
    turned: HeatMaps = (projected * scale[:, None]).reshape(n, h, w)
    return turned


def enlarged(maps: Floats, size: Sequence[int], *, corners: bool = False) -> Floats:
    """Maps N×h×w on the pixels of an image, bilinear.

    Args:
        maps: N×h×w.
        size: H×W of the image.
        corners: positions at the corners lie on the corner pixels; else each lies in the middle of what it
            stands for, and beyond the outermost ones nothing changes.

    Returns:
        N×H×W of the same number type.

    >>> enlarged(np.array([[[0.0, 4.0]]]), (1, 4)).tolist()
    [[[0.0, 1.0, 3.0, 4.0]]]
    >>> enlarged(np.array([[[0.0, 4.0]]]), (1, 3), corners=True).tolist()
    [[[0.0, 2.0, 4.0]]]
    """
    rows, columns = (
        interpolation(small, large, corners=corners).astype(maps.dtype)
        for small, large in zip(maps.shape[1:], size, strict=True)
    )
    large: Floats = np.matmul(np.matmul(rows, maps), columns.T)
    return large


def interpolation(small: int, large: int, *, corners: bool = False) -> Floats:
    """What each of `large` pixels takes of each of `small` positions: large×small, as `enlarged` does.

    >>> interpolation(2, 4).tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    # Positions as PyTorch and PIL count them: a pixel is a square, and its middle is what counts.
    pixels = np.arange(large)
    if corners:
        places = pixels * ((small - 1) / max(1, large - 1))
    else:
        places = np.clip((pixels + 0.5) * small / large - 0.5, 0, small - 1)
    # A hat of width 2: each pixel takes of its two neighbours, by how near they are.
    weights: Floats = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(small)))
    return weights
