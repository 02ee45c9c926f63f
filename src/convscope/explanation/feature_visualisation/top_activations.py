"""The images that excite a unit most, and where in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convscope.core.contracts import Progress
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.channel import Unit, activations
from convscope.explanation.feature_visualisation.receptive_field import fields_in_theory
from convscope.models.pytorch.predictor import max_batch_size
from convscope.models.pytorch.receptive_field import Field
from convscope.models.pytorch.shapes import eval_mode

TOP = 9
Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Exciting:
    """The n images that excite `unit` most, the most exciting first.

    `positions` n are places in the PreparedSplit that was looked through, `values` n the largest activation
    of each, `boxes` the pixels (top, left, bottom, right) that the place with that activation sees, the whole
    image for a logit.
    """

    unit: Unit
    positions: NDArray[np.int64]
    values: NDArray[np.float64]
    boxes: tuple[Box, ...]

    def crops(self, part: PreparedSplit) -> list[NDArray[np.uint8]]:
        """What the unit saw of each image, uint8 h×w×C."""
        images = part.take(self.positions)
        return [
            image[top:bottom, left:right]
            for image, (top, left, bottom, right) in zip(images, self.boxes, strict=True)
        ]


def most_exciting(
    explained_model: ExplainedModel,
    units: Sequence[Unit],
    part: PreparedSplit,
    *,
    top: int = TOP,
    tell: Progress | None = None,
) -> list[Exciting]:
    """For each unit the `top` images of a part; equal ones in their order. Memory holds one batch and the
    best.

    UserError where a unit is not there.

    >>> from convscope.data.dataset import ArrayDataset
    >>> from convscope.data.preparing.prepared_split import prepare_split
    >>> from convscope.data.preparing.preprocess import Preprocess
    >>> from convscope.models.pytorch.predictor import TorchPredictor
    >>> from convscope.models.pytorch.zoo import create
    >>> prepare = Preprocess(1, 8, 8)
    >>> explained_model = ExplainedModel.of(TorchPredictor(create("small_cnn", input_shape=(1, 8, 8), classes=2), prepare, ("a", "b")))
    >>> images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    >>> part = prepare_split(ArrayDataset(images, np.zeros(5, np.int64), ("a", "b")), prepare)
    >>> [found] = most_exciting(explained_model, [Unit("stage1", 4, "map 4")], part, top=3)
    >>> len(found.positions), bool(found.values[0] >= found.values[2])
    (3, True)
    """
    network = explained_model.torch_network()
    height, width = explained_model.preprocess.shape[:2]
    size = max_batch_size(height, width)
    best = [
        np.zeros((0, 4)) for _ in units
    ]  # value, position, and where in the image, down and across, 0 to 1
    done = 0
    for images in part.batches(size):
        with eval_mode(network), torch.inference_mode():
            found = activations(network, explained_model.inputs(images), units)
        for number, maps in enumerate(found):
            rows = np.concatenate([best[number], _peaks(maps.double().cpu().numpy(), done)])
            best[number] = rows[np.argsort(-rows[:, 0], kind="stable")][:top]
        done += len(images)
        if tell:
            tell(done, len(part))
    layers = {unit.layer for unit in units if unit.layer is not None}
    fields = (
        fields_in_theory(network, explained_model.inputs(part.whole.images[:1]), layers)
        if layers and len(part)
        else {}
    )
    return [
        Exciting(
            unit,
            rows[:, 1].astype(np.int64),
            rows[:, 0],
            tuple(
                seen(fields.get(unit.layer or ""), (down, across), (height, width))
                for down, across in rows[:, 2:]
            ),
        )
        for unit, rows in zip(units, best, strict=True)
    ]


def seen(field: Field | None, place: tuple[float, float], size: tuple[int, int]) -> Box:
    """The pixels (top, left, bottom, right) of an image of `size` that a place sees; None sees the whole
    image.

    `place`: down and across, 0 to 1. What lies beyond the border is cut off.

    >>> seen(Field((4, 4), (2, 2)), (0.25, 0.9), (8, 8))
    (0, 5, 4, 8)
    """
    if field is None:
        return 0, 0, size[0], size[1]
    first = [round(place[i] * size[i] - field.size[i] / 2) for i in (0, 1)]
    top, left = (min(max(first[i], 0), size[i] - 1) for i in (0, 1))
    bottom, right = (
        max(min(first[i] + field.size[i], size[i]), start + 1) for i, start in enumerate((top, left))
    )
    return top, left, bottom, right


def _peaks(maps: NDArray[np.floating[Any]], start: int) -> NDArray[np.float64]:
    """For each of N maps N×h×w: its largest value, its position counted from `start`, and where the value
    is.
    """
    count, height, width = maps.shape
    flat = maps.reshape(count, height * width)
    place = flat.argmax(axis=1)
    value = flat[np.arange(count), place]
    return np.stack(
        [value, start + np.arange(count), (place // width + 0.5) / height, (place % width + 0.5) / width],
        axis=1,
    )
