"""ROAD: remove the pixels that a map calls most relevant, or least, without leaving a trace of what was
removed.

A patch painted grey has an edge, and the edge alone may change the prediction or give the class away. So each
removed pixel becomes the weighted mean of its eight neighbours, all of them solved for together, and a little
noise. Rong, Leemann, Borisov, Kasneci and Kasneci 2022, arXiv 2202.00449.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.seeds import generator
from convscope.explanation.faithfulness.insertion_deletion import PerturbationSet, in_batches

Floats = NDArray[np.floating[Any]]
FRACTIONS = (0.2, 0.4, 0.6, 0.8)
NOISE = 0.01 * 255
"""Standard deviation, in grey levels; the hundredth of the authors."""
# The weights of the paper: 4 × 1/6 + 4 × 1/12 = 1.
NEIGHBOURS = [(dy, dx, 1 / 12 if dy and dx else 1 / 6) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
"""Offset and weight: a neighbour across a corner counts half."""


def road(
    perturbations: PerturbationSet,
    order: NDArray[np.int64],
    *,
    fractions: tuple[float, ...] = FRACTIONS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """(LeRF − MoRF) / 2; an order by chance has 0.

    MoRF is the probability of the explained class without the most relevant pixels, LeRF without the least
    relevant ones, both as means over the fractions of pixels that are removed.

    Args:
        perturbations: N images.
        order: of their pixels, N×H×W, as `pixel_order` gives it.
        fractions: of the pixels, 0 to 1.
        seed: of the noise on what is filled in.

    Returns:
        −0.5 to 0.5 for each image, N.

    >>> class First:  # is the left half light?
    ...     classes = ("no", "yes")
    ...     def predict(self, images):
    ...         light = images[:, :, :2].mean(axis=(1, 2, 3))
    ...         return np.stack([0 * light, light - 128], axis=1)
    >>> image = np.zeros((1, 4, 4, 1), np.uint8)
    >>> image[:, :, :2] = 255
    >>> order = np.array([[[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]]])
    >>> road(PerturbationSet(First(), image, np.array([1])), order, fractions=(0.6,)).round(2).tolist()
    [0.5]
    """
    n, h, w, c = perturbations.images.shape
    # The same fractions from both ends of the order.
    counts = [round(fraction * h * w) for fraction in fractions]
    drops = np.empty((n, len(fractions)))
    for batch in in_batches(n, 2 * len(fractions) * h * w * c):
        turn = order[batch]
        gone = np.stack([turn < k for k in counts] + [turn >= h * w - k for k in counts])
        some = perturbations[batch]
        probabilities = some.probability(_without(some, gone, seed))
        # A good map has a high LeRF and a low MoRF, so the difference is above 0.
        drops[batch] = probabilities[:, len(fractions) :] - probabilities[:, : len(fractions)]
    halves: NDArray[np.float64] = drops.mean(axis=1) / 2
    return halves


def imputed(image: Floats, gone: NDArray[np.bool_]) -> Floats:
    """An image H×W×C whose pixels `gone`, H×W, become the weighted means of their neighbours.

    Some of those are gone, too, so all are solved for together:
    x_i Σ_j w_ij = Σ_j w_ij x_j for each pixel i that is gone: as many equations as unknowns, and one solution
    as long as one pixel stays; where none does, the image comes back as it is.

    >>> imputed(np.array([[[1.0], [0.0], [3.0]]]), np.array([[False, True, False]]))[..., 0].tolist()
    [[1.0, 2.0, 3.0]]
    """
    from scipy.sparse import csc_matrix
    from scipy.sparse.linalg import splu

    filled: Floats = image.astype(np.float64)
    if gone.all() or not gone.any():
        return filled
    entries, right = _equations(filled, gone)
    values, rows, columns = entries
    matrix = csc_matrix((values, (rows, columns)), shape=(len(right), len(right)))
    # The matrix is symmetric, which this ordering knows to use: a third less time than the usual one.
    solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    filled[gone] = solver.solve(right)
    return filled


def _equations(image: Floats, gone: NDArray[np.bool_]) -> tuple[tuple[Floats, ...], Floats]:
    """The matrix as (values, rows, columns), and the right-hand side n×C, for n missing pixels."""
    h, w, c = image.shape
    y, x = np.nonzero(gone)
    number = np.full((h, w), -1)
    number[y, x] = every = np.arange(len(y))
    diagonal, right = np.zeros(len(y)), np.zeros((len(y), c))
    entries = []
    for down, across, weight in NEIGHBOURS:
        inside = (y + down >= 0) & (y + down < h) & (x + across >= 0) & (x + across < w)
        here, there = every[inside], (y[inside] + down, x[inside] + across)
        other = number[there]
        # Neighbours that stay go to the right-hand side; the others are unknowns of their own equations.
        known = other < 0
        # Σ_j w_ij over the neighbours that exist: at a border there are fewer.
        diagonal[here] += weight
        right[here[known]] += weight * image[there][known]
        entries.append((np.full(np.count_nonzero(~known), -weight), here[~known], other[~known]))
    entries.append((diagonal, every, every))
    return tuple(np.concatenate(column) for column in zip(*entries, strict=True)), right


def _without(perturbations: PerturbationSet, gone: NDArray[np.bool_], seed: int) -> NDArray[np.uint8]:
    """S×N×H×W×C images without the pixels `gone` S×N×H×W."""
    steps, n, h, w = gone.shape
    # One draw for all images, so that an image has the same figure alone and among others.
    # A smooth patch would itself be a trace; the authors add noise of this size.
    noise = generator(seed, "road", h, w).normal(0, NOISE, perturbations.images.shape[1:])
    changed = np.broadcast_to(perturbations.images, (steps, *perturbations.images.shape)).copy()
    for step in range(steps):
        for k in range(n):
            missing = gone[step, k]
            # Noise on what was filled in alone; pixels that stay are untouched.
            full = imputed(perturbations.images[k], missing) + noise
            changed[step, k][missing] = full[missing].round().clip(0, 255).astype(np.uint8)
    return changed
