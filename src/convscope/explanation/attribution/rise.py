"""RISE: hide random parts of the image and see under which masks the prediction stays.

The importance of a pixel is the mean probability of the class among masks that show it. It needs nothing but
predictions, so it works for any Predictor. Petsiuk and others 2018, arXiv 1806.07421.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from convscope.core.batch_size import max_batch_size
from convscope.core.contracts import Predictor
from convscope.core.decision import Decision
from convscope.core.seeds import generator
from convscope.explanation.attribution.cam import interpolation
from convscope.explanation.attribution.occlusion import mean_colour
from convscope.explanation.explained_model import ExplainedModel, HeatMaps
from convscope.explanation.probe import Classes

GRID, SHOWN, MASKS = 7, 0.5, 500


def rise_map(model: ExplainedModel, images: NDArray[np.uint8], targets: Classes) -> HeatMaps:
    """The importance of each pixel, hidden by the mean colour, raw N×H×W."""
    return rise(model.predictor, images, targets, fill=mean_colour(model.preprocess))


def rise(
    predictor: Predictor,
    images: NDArray[np.uint8],
    targets: Classes,
    *,
    fill: Sequence[int],
    masks: int = MASKS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Σ_m p(x under m) m / Σ_m m over random masks m, where p is the probability of the target.

    The authors divide by the expected Σ m. Its value at each pixel takes out how often chance showed that
    pixel: in 120 pictures of 28×28 with one patch that decides, the maximum lay in the patch in all, and in
    43 % with the expected Σ m.

    Args:
        predictor: gives logits.
        images: prepared, uint8 N×H×W×C.
        targets: a class for each, N.
        fill: the colour under a mask, C levels 0..255.
        masks: how many, at least 1.
        seed: of the masks.

    Returns:
        Float N×H×W, 0 to 1.

    >>> class Corner:
    ...     classes = ("dark", "light")
    ...     def predict(self, images):
    ...         light = images[:, 0, 0, 0].astype(np.float32) / 255
    ...         return np.stack([-light, light], axis=1)
    >>> importance = rise(Corner(), np.full((1, 14, 14, 1), 255, np.uint8), np.array([1]), fill=[0])[0]
    >>> bool(importance[0, 0] > importance[13, 13])
    True
    """
    count, height, width, _ = images.shape
    found, shown = np.zeros((count, height * width)), np.zeros(height * width)
    size = max_batch_size(*images.shape[1:3])
    for batch in random_masks(height, width, masks, seed=seed, at_once=size):
        flat = batch.reshape(len(batch), -1).astype(float)
        # How often each pixel was shown, by the masks that were drawn and not by their expectation.
        shown += flat.sum(axis=0)
        # Images times masks stay within a batch of the network.
        step = max(1, size // len(batch))
        for few in (slice(n, n + step) for n in range(0, count, step)):
            logits = predictor.predict(under(images[few], batch, fill=fill))
            probabilities = Decision().probabilities(logits).reshape(-1, len(batch), logits.shape[1])
            chosen = np.take_along_axis(probabilities, targets[few][:, None, None], axis=2)[..., 0]
            found[few] += chosen @ flat
    # A pixel that no mask showed has no evidence; 0 is what an indifferent one would have.
    importance = np.divide(found, shown, out=np.zeros_like(found), where=shown > 0)
    return importance.reshape(count, height, width)


def random_masks(
    height: int, width: int, count: int, *, seed: int, at_once: int
) -> Iterator[NDArray[np.float32]]:
    """Masks from 0 (hidden) to 1 (shown).

    A grid of 7×7 cells, each shown with probability 1/2, is enlarged with bilinear interpolation to one cell
    more than the image has on each side, and a random part of the image's size is cut out: so no edge of a
    cell stays in place.

    Args:
        height: of the image, in pixels.
        width: of the image, in pixels.
        count: of masks.
        seed: of grids and cuts.
        at_once: masks that are made together; how many that are changes no mask.

    Yields:
        Up to `at_once` masks M×H×W.

    >>> [masks.shape for masks in random_masks(8, 9, 5, seed=0, at_once=3)]
    [(3, 8, 9), (2, 8, 9)]
    """
    rng = generator(seed, "rise")
    grids = (rng.random((count, GRID, GRID)) < SHOWN).astype(np.float32)
    rows, columns = (_enlarging(side, rng.random(count)) for side in (height, width))
    for start in range(0, count, at_once):
        few = slice(start, start + at_once)
        masks: NDArray[np.float32] = np.matmul(
            np.matmul(rows(few), grids[few]), columns(few).transpose(0, 2, 1)
        )
        yield masks


def under(images: NDArray[np.uint8], masks: NDArray[np.float32], *, fill: Sequence[int]) -> NDArray[np.uint8]:
    """Each of N images under each of M masks: uint8 N×H×W×C and M×H×W to (N·M)×H×W×C, image by image."""
    colour = np.array(fill, np.float32)
    # Towards the colour and not towards black, which a network may never have seen.
    mixed = (images - colour)[:, None] * masks[None, ..., None] + colour
    # Rounded as a camera would; predictors take bytes.
    pixels: NDArray[np.uint8] = np.rint(mixed).astype(np.uint8).reshape(-1, *images.shape[1:])
    return pixels


def _enlarging(side: int, shifts: NDArray[np.float64]) -> Callable[[slice], NDArray[np.float32]]:
    """For shifts 0..1 of a cell, what each of `side` pixels takes of each of the 7 cells, M×side×7."""
    # Rounded up, so that 7 cells cover the side.
    cell = -(-side // GRID)
    weights = interpolation(GRID, (GRID + 1) * cell).astype(np.float32)
    starts = np.floor(shifts * cell).astype(int)
    return lambda few: weights[starts[few, None] + np.arange(side)]
