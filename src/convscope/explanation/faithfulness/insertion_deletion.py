"""Deletion and insertion: the probability of a class while pixels go, or come back, in a map's order.

If a map is right about where the network looks, the probability falls quickly as the first pixels of the map
are deleted, and rises quickly as they are put into a blurred image. Petsiuk, Das and Saenko 2018, arXiv
1806.07421.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Predictor
from convscope.core.decision import Decision
from convscope.core.seeds import generator

Floats = NDArray[np.floating[Any]]
Images = NDArray[np.uint8]
# 5 % of the pixels a step; a curve costs 21 predictions an image.
STEPS = 20
MOST_BYTES = 64_000_000
"""Of changed images in memory at once; with 20 steps, 20 images of 224×224×3."""
BLUR = 1 / 8
"""Standard deviation of the blur as a fraction of the shorter side: what is below a quarter vanishes."""
BLOCKS = 7
"""A random order removes squares of a 7×7 grid, about the positions that the last feature maps have."""


@dataclass(frozen=True, eq=False)
class Curves:
    """`probability` N×(S+1) of the explained class, once 0, 1/S, …, 1 of the pixels have changed."""

    probability: NDArray[np.float64]

    @property
    def fraction(self) -> NDArray[np.float64]:
        """The fractions of changed pixels, S+1."""
        return np.linspace(0, 1, self.probability.shape[1])

    @property
    def area(self) -> NDArray[np.float64]:
        """The area under each of the N curves, 0 to 1, by the trapezoid rule.

        >>> Curves(np.array([[1.0, 0.5, 0.0]])).area.tolist()
        [0.5]
        """
        # Trapezoids: the curve is known at S + 1 points, and a sum would weigh its ends twice.
        area: NDArray[np.float64] = np.asarray(np.trapezoid(self.probability, self.fraction, axis=1))
        return area


@dataclass(frozen=True, eq=False)
class PerturbationSet:
    """Images whose pixels are changed, and how probable a class is for each.

    Attributes:
        predictor: gives logits.
        images: prepared, uint8 N×H×W×C.
        targets: the class of each image, N.
        decision: makes probabilities of logits.

    >>> class Grey:
    ...     classes = ("dark", "light")
    ...     def predict(self, images):
    ...         light = images.mean(axis=(1, 2, 3)) / 255 - 0.5
    ...         return np.stack([-9 * light, 9 * light], axis=1)
    >>> perturbations = PerturbationSet(Grey(), np.full((1, 4, 4, 1), 255, np.uint8), np.array([1]))
    >>> perturbations.probability(perturbations.images[None]).round(2).tolist()
    [[1.0]]
    """

    predictor: Predictor
    images: Images
    targets: NDArray[np.int64]
    decision: Decision = field(default_factory=Decision)

    def __getitem__(self, rows: slice | NDArray[np.bool_]) -> PerturbationSet:
        """The same for some of the images."""
        return replace(self, images=self.images[rows], targets=self.targets[rows])

    def probability(self, changed: Images) -> NDArray[np.float64]:
        """N×S probabilities for S changed forms of each image, S×N×H×W×C, in one call of the predictor."""
        steps, count = changed.shape[:2]
        # In one call, so that the steps of a few images fill a batch of the network.
        logits = self.predictor.predict(changed.reshape(-1, *changed.shape[2:]))
        every = self.decision.probabilities(logits).reshape(steps, count, logits.shape[1])
        chosen: NDArray[np.float64] = every[:, np.arange(count), self.targets].T
        return chosen


def deletion(perturbations: PerturbationSet, order: NDArray[np.int64], *, steps: int = STEPS) -> Curves:
    """The curves while pixels become the mean colour of their image.

    Args:
        perturbations: N images.
        order: when each pixel's turn comes, N×H×W, as `pixel_order` gives it.
        steps: S; how often the predictor is asked, but for the first time.

    Returns:
        N×(S+1) probabilities.

    >>> class First:  # is the first pixel light?
    ...     classes = ("no", "yes")
    ...     def predict(self, images):
    ...         return np.stack([0 * images[:, 0, 0, 0], images[:, 0, 0, 0] / 10.0 - 15], axis=1)
    >>> image = np.array([[[[255], [0]], [[0], [0]]]], np.uint8)
    >>> perturbations = PerturbationSet(First(), image, np.array([1]))
    >>> order = pixel_order(np.array([[[1.0, 0], [0, 0]]]))
    >>> deletion(perturbations, order, steps=4).probability.round(2).tolist()
    [[1.0, 0.0, 0.0, 0.0, 0.0]]
    """
    # Of the image and not of the training set: an unusual colour would be a change of its own.
    mean = perturbations.images.mean(axis=(1, 2), keepdims=True).round().astype(np.uint8)
    gone = np.broadcast_to(mean, perturbations.images.shape)
    return _curves(perturbations, order, perturbations.images, gone, steps)


def insertion(perturbations: PerturbationSet, order: NDArray[np.int64], *, steps: int = STEPS) -> Curves:
    """The curves while the pixels of blurred images become sharp; arguments as in `deletion`."""
    # Blurred, as the authors do: pixels on a flat canvas make sharp edges, which look like evidence.
    return _curves(perturbations, order, blurred(perturbations.images), perturbations.images, steps)


def pixel_order(heat_maps: Floats, *, seed: int = 0) -> NDArray[np.int64]:
    """When each pixel's turn comes, 0 for the largest value of its map; N×H×W in and out.

    Of equal values the order is drawn by `seed`: in the order of the rows, a map that says nothing about a
    half of the image would prefer its top.

    >>> pixel_order(np.array([[[0.1, 0.9], [0.5, 0.2]]])).tolist()
    [[[3, 0], [1, 2]]]
    """
    n, h, w = heat_maps.shape
    shuffled = generator(seed, "ties", h, w).permutation(h * w)
    drawn = heat_maps.reshape(n, h * w)[:, shuffled]
    turn = np.empty((n, h * w), np.int64)
    # Sorted within a random order by a stable sort, equal values keep the random order.
    first = shuffled[np.argsort(-drawn, axis=1, kind="stable")]
    np.put_along_axis(turn, first, np.arange(h * w)[None], axis=1)
    return turn.reshape(n, h, w)


def random_order(images: Images, *, seed: int = 0) -> NDArray[np.int64]:
    """An order N×H×W by chance: the squares of a 7×7 grid, for images uint8 N×H×W×C.

    Squares and not pixels, because scattered pixels hurt any convolutional network, as noise does, wherever
    they are. The order is drawn by `seed` and the image itself, so that it is the same for an image alone and
    among others.
    """
    n, h, w = images.shape[:3]
    shape = (min(BLOCKS, h), min(BLOCKS, w))
    # The image itself is part of the seed, so the order is its own whatever stands beside it.
    drawn = [
        generator(seed, "random order", sha256(image.tobytes()).hexdigest()).random(shape) for image in images
    ]
    rows, columns = (np.arange(side) * blocks // side for side, blocks in zip((h, w), shape, strict=True))
    return pixel_order(np.array(drawn).reshape(n, *shape)[:, rows][:, :, columns], seed=seed)


def blurred(images: Images) -> Images:
    """Images N×H×W×C after a Gaussian blur of an eighth of their shorter side."""
    from scipy.ndimage import gaussian_filter

    sigma = BLUR * min(images.shape[1:3])
    # Reflected, because zeros beyond the border would darken the rim.
    smooth: Floats = gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0), mode="reflect")
    return smooth.round().astype(np.uint8)


def in_batches(count: int, bytes_each: int) -> list[slice]:
    """Slices of `count` images, so that what is made of a slice, `bytes_each` an image, stays within 64 MB.

    >>> in_batches(3, 32_000_000)
    [slice(0, 2, None), slice(2, 4, None)]
    """
    size = max(1, MOST_BYTES // max(1, bytes_each))
    return [slice(start, start + size) for start in range(0, count, size)]


def _curves(
    perturbations: PerturbationSet, order: NDArray[np.int64], before: Images, after: Images, steps: int
) -> Curves:
    n, h, w, _ = before.shape
    # Rounded counts of pixels, so that the first step changes none and the last one all.
    until = np.linspace(0, h * w, steps + 1).round().astype(np.int64)
    found = np.empty((n, steps + 1))
    for batch in in_batches(n, (steps + 1) * before[:1].size):
        changed = order[batch][None] < until[:, None, None, None]
        mixed = np.where(changed[..., None], after[batch], before[batch])
        found[batch] = perturbations[batch].probability(mixed)
    return Curves(found)
