"""Occlusion: cover a part of the image and see how far the logit falls.

It needs nothing but answers, so it works for any Predictor. Zeiler and Fergus 2013, arXiv 1311.2901.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Predictor
from convscope.core.errors import UserError
from convscope.explanation.attribution.mean_colour import mean_colour
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.method import Maps
from convscope.models.pytorch.predictor import max_batch_size


def occlusion_map(
    explained_model: ExplainedModel, images: NDArray[np.uint8], targets: NDArray[np.int64]
) -> Maps:
    """The fall of the logit under a square of the mean colour, raw N×H×W."""
    return occlusion(explained_model.predictor, images, targets, fill=mean_colour(explained_model.preprocess))


def occlusion(
    predictor: Predictor,
    images: NDArray[np.uint8],
    targets: NDArray[np.int64],
    *,
    fill: Sequence[int],
    window: int | None = None,
    stride: int | None = None,
) -> NDArray[np.float64]:
    """y(x) − y(x with a window covered), the mean over all windows that cover a pixel; float N×H×W.

    For prepared images, uint8 N×H×W×C, and the targets N. A square `window` (pixels; a sixth of the shorter
    side by default) filled with `fill`, C numbers 0..255, goes over the image in steps of `stride` (half a
    window by default). The last of a row or column is cut off at the border. UserError where the window is
    larger than the image, or the stride larger than the window, so that pixels would never be covered.

    >>> class Corner:
    ...     classes = ("dark", "light")
    ...     def predict(self, images):
    ...         light = images[:, 0, 0, 0].astype(np.float32)
    ...         return np.stack([-light, light], axis=1)
    >>> occlusion(Corner(), np.full((1, 2, 2, 1), 9, np.uint8), np.array([1]), fill=[0], window=1).tolist()
    [[[9.0, 0.0], [0.0, 0.0]]]
    """
    count, *size, _ = images.shape
    window = window or max(1, round(min(size) / 6))
    stride = stride or max(1, window // 2)
    if not 1 <= stride <= window <= min(size):
        raise UserError(
            f"occlusion with a window of {window} and a stride of {stride} pixels on images of "
            f"{size[0]}×{size[1]}; "
            f"allowed: a window from 1 to {min(size)}, a stride from 1 to the window"
        )
    rows, columns = (covers(side, window, stride=stride) for side in size)
    falls = _falls(predictor, images, targets, rows=rows, columns=columns, fill=fill)
    falls = falls.reshape(count, len(rows), len(columns))
    # A window is the product of its rows and its columns, and so is the number of windows that cover a pixel.
    total = np.matmul(np.matmul(rows.T.astype(float), falls), columns.astype(float))
    found: NDArray[np.float64] = total / np.outer(rows.sum(axis=0), columns.sum(axis=0))
    return found


def covers(side: int, window: int, *, stride: int) -> NDArray[np.bool_]:
    """Which of `side` pixels each place of a window covers: places × side; the last place may reach over the
    border.

    >>> covers(4, 3, stride=2).astype(int).tolist()
    [[1, 1, 1, 0], [0, 0, 1, 1]]
    """
    starts = stride * np.arange(-(-(side - window) // stride) + 1)[:, None]
    pixels = np.arange(side)
    covered: NDArray[np.bool_] = (pixels >= starts) & (pixels < starts + window)
    return covered


def _falls(
    predictor: Predictor,
    images: NDArray[np.uint8],
    targets: NDArray[np.int64],
    *,
    rows: NDArray[np.bool_],
    columns: NDArray[np.bool_],
    fill: Sequence[int],
) -> NDArray[np.float64]:
    """How far the target's logit falls, for each image and window, row by row: N · windows numbers."""
    count, windows, colour = len(images), len(rows) * len(columns), np.array(fill, np.uint8)
    whole = _chosen(predictor, images, targets)
    falls = np.empty(count * windows)
    lot = max_batch_size(*images.shape[1:3])
    for start in range(0, count * windows, lot):
        image, place = np.divmod(np.arange(start, min(start + lot, count * windows)), windows)
        row, column = np.divmod(place, len(columns))
        covered = rows[row][:, :, None, None] & columns[column][:, None, :, None]
        answers = _chosen(predictor, np.where(covered, colour, images[image]), targets[image])
        falls[start : start + lot] = whole[image] - answers
    return falls


def _chosen(
    predictor: Predictor, images: NDArray[np.uint8], targets: NDArray[np.int64]
) -> NDArray[np.float64]:
    logits = predictor.predict(images)
    chosen: NDArray[np.float64] = np.take_along_axis(logits, targets[:, None], axis=1)[:, 0].astype(
        np.float64
    )
    return chosen
