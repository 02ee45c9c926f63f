"""Occlusion: cover a part of the image and see how far the logit falls.

It needs nothing but predictions, so it works for any Predictor. Zeiler and Fergus 2013, arXiv 1311.2901.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convscope.core.batch_size import max_batch_size
from convscope.core.contracts import Predictor
from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel, HeatMaps
from convscope.explanation.probe import Classes


def occlusion_map(model: ExplainedModel, images: NDArray[np.uint8], targets: Classes) -> HeatMaps:
    """The fall of the logit under a square of the mean colour, raw N×H×W."""
    return occlusion(model.predictor, images, targets, fill=mean_colour(model.preprocess))


def mean_colour(preprocess: Preprocess) -> tuple[int, ...]:
    """The mean of all training images, C levels 0..255: the colour that says least about the class.

    >>> mean_colour(Preprocess(3, 8, 8, mean=(0.5, 0.0, 1.2)))
    (128, 0, 255)
    """
    return tuple(int(np.clip(round(255 * mean), 0, 255)) for mean in preprocess.mean)


def occlusion(
    predictor: Predictor,
    images: NDArray[np.uint8],
    targets: Classes,
    *,
    fill: Sequence[int],
    window: int | None = None,
    stride: int | None = None,
) -> NDArray[np.float64]:
    """y(x) − y(x with a window covered), the mean over all windows that cover a pixel.

    A square window goes over the image; the last of a row or column is cut off at the border.

    Args:
        predictor: gives logits.
        images: prepared, uint8 N×H×W×C.
        targets: the class of each whose logit y is watched, N.
        fill: the colour of the window, C levels 0..255.
        window: its side in pixels; a sixth of the shorter side of the image by default.
        stride: pixels from one window to the next; half a window by default.

    Returns:
        Float N×H×W.

    Raises:
        UserError: the window is larger than the image, or the stride larger than the window, so that pixels
            would never be covered.

    >>> class Corner:
    ...     classes = ("dark", "light")
    ...     def predict(self, images):
    ...         light = images[:, 0, 0, 0].astype(np.float32)
    ...         return np.stack([-light, light], axis=1)
    >>> occlusion(Corner(), np.full((1, 2, 2, 1), 9, np.uint8), np.array([1]), fill=[0], window=1).tolist()
    [[[9.0, 0.0], [0.0, 0.0]]]
    """
    count, *size, _ = images.shape
    # A sixth hides a part of a thing and not all of it, and takes 11×11 windows at half a window a step.
    window = window or max(1, round(min(size) / 6))
    stride = stride or max(1, window // 2)
    if not 1 <= stride <= window <= min(size):
        raise UserError(
            f"occlusion with a window of {window} and a stride of {stride} pixels on images of "
            f"{size[0]}×{size[1]}; allowed: a window from 1 to {min(size)}, a stride from 1 to the window"
        )
    rows, columns = (covers(side, window, stride=stride) for side in size)
    falls = _falls(predictor, images, targets, rows=rows, columns=columns, fill=fill)
    falls = falls.reshape(count, len(rows), len(columns))
    # A window is the product of its rows and its columns, and so is the number of windows that cover a pixel.
    total = np.matmul(np.matmul(rows.T.astype(float), falls), columns.astype(float))
    found: NDArray[np.float64] = total / np.outer(rows.sum(axis=0), columns.sum(axis=0))
    return found


def covers(side: int, window: int, *, stride: int) -> NDArray[np.bool_]:
    """Which of `side` pixels each place of a window covers, places×side; the last may reach over the border.

    >>> covers(4, 3, stride=2).astype(int).tolist()
    [[1, 1, 1, 0], [0, 0, 1, 1]]
    """
    # Rounded up: one more window where the last would leave pixels at the border uncovered.
    starts = stride * np.arange(-(-(side - window) // stride) + 1)[:, None]
    pixels = np.arange(side)
    covered: NDArray[np.bool_] = (pixels >= starts) & (pixels < starts + window)
    return covered


def _falls(
    predictor: Predictor,
    images: NDArray[np.uint8],
    targets: Classes,
    *,
    rows: NDArray[np.bool_],
    columns: NDArray[np.bool_],
    fill: Sequence[int],
) -> NDArray[np.float64]:
    """How far the target's logit falls, for each image and window, row by row: N · windows numbers."""
    count, windows, colour = len(images), len(rows) * len(columns), np.array(fill, np.uint8)
    # Of the uncovered images once, and not again for each window.
    whole = _chosen(predictor, images, targets)
    falls = np.empty(count * windows)
    size = max_batch_size(*images.shape[1:3])
    for start in range(0, count * windows, size):
        # Windows of all images in one row, so that small images fill a batch.
        image, place = np.divmod(np.arange(start, min(start + size, count * windows)), windows)
        row, column = np.divmod(place, len(columns))
        # A square is the product of a range of rows and a range of columns.
        covered = rows[row][:, :, None, None] & columns[column][:, None, :, None]
        logits = _chosen(predictor, np.where(covered, colour, images[image]), targets[image])
        falls[start : start + size] = whole[image] - logits
    return falls


def _chosen(predictor: Predictor, images: NDArray[np.uint8], targets: Classes) -> NDArray[np.float64]:
    """The logit of each image's target, N."""
    logits = np.take_along_axis(predictor.predict(images), targets[:, None], axis=1)
    return logits[:, 0].astype(np.float64)
