"""One channel of a network, a feature map or the logit of a class, and the images that activate it most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.batch_size import max_batch_size
from convscope.core.errors import UserError, nearest, unknown_name
from convscope.core.run.progress import Progress
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.visualiser import Channel, visualiser_of
from convscope.explanation.probe import Floats, Probe
from convscope.models.receptive_field import Field

TOP = 9
Box: TypeAlias = tuple[int, int, int, int]
"""Pixels of an image: top, left, bottom, right."""


@dataclass(frozen=True, eq=False)
class TopActivations:
    """The n images that activate `channel` most, the highest first.

    Attributes:
        channel: the one that is meant.
        positions: of the images in their PreparedSplit, n.
        values: the largest activation of each, n.
        boxes: the pixels that the position with that activation sees, n; the whole image for a logit.
    """

    channel: Channel
    positions: NDArray[np.int64]
    values: NDArray[np.float64]
    boxes: tuple[Box, ...]

    def crops(self, part: PreparedSplit) -> list[NDArray[np.uint8]]:
        """What the channel saw of each image, uint8 h×w×C."""
        images = part.take(self.positions)
        return [
            image[top:bottom, left:right]
            for image, (top, left, bottom, right) in zip(images, self.boxes, strict=True)
        ]


def class_channels(classes: Sequence[str]) -> list[Channel]:
    """The logits of all classes."""
    return [Channel(None, index, name) for index, name in enumerate(classes)]


def find_channel(text: str, probe: Probe, classes: Sequence[str]) -> Channel:
    """The channel that a person names.

    Args:
        text: the name of a class, in any case, or LAYER:NUMBER.
        probe: knows the layers.
        classes: K names.

    Returns:
        The channel; whether the layer has so many is not checked.

    Raises:
        UserError: it is neither.
    """
    # The exact name goes before another spelling: "Dog" and "dog" may both be classes.
    exact = [k for k, name in enumerate(classes) if name == text]
    same = exact or [k for k, name in enumerate(classes) if name.casefold() == text.casefold()]
    if same:
        return Channel(None, same[0], classes[same[0]])
    # From the right, since a class may have a colon in its name and a layer a dot.
    layer, colon, number = text.rpartition(":")
    if colon and number.isdecimal():
        names = dict.fromkeys([*probe.layers(within=True), *probe.layers()])
        if layer not in names:
            raise unknown_name("layer", layer, names)
        return Channel(layer, int(number), f"map {int(number)} of {layer}")
    raise UserError(_no_channel(text, probe, classes))


def _no_channel(text: str, probe: Probe, classes: Sequence[str]) -> str:
    guess = nearest(text, classes)
    hint = f"did you mean {guess!r}? " if guess else ""
    # Six names keep the message short, even with a thousand classes.
    some = ", ".join(classes[:6]) + (", …" if len(classes) > 6 else "")
    stage = (probe.layers() or ("LAYER",))[-1]
    return (
        f"there is no channel {text!r}; {hint}give the name of a class ({some}) or a feature map as "
        f"LAYER:NUMBER, such as {stage}:0"
    )


def top_activations(
    model: ExplainedModel,
    channels: Sequence[Channel],
    part: PreparedSplit,
    *,
    top: int = TOP,
    progress: Progress | None = None,
) -> list[TopActivations]:
    """For each channel the images that activate it most. Memory holds one batch and the best.

    Args:
        model: with the inside of its network.
        channels: feature maps and logits.
        part: the images that are searched.
        top: how many are wanted, at least 1.
        progress: called with "find top activations", the images done, and all.

    Returns:
        One entry a channel; of equal activations the first image comes first.

    Raises:
        UserError: a channel is not there, or only predictions are at hand.

    >>> from convscope.data.dataset import ArrayDataset
    >>> from convscope.data.preparing.prepared_split import prepare_split
    >>> from convscope.data.preparing.preprocess import Preprocess
    >>> from convscope.models.pytorch.predictor import TorchPredictor
    >>> from convscope.models.pytorch.zoo import create
    >>> prepare, net = Preprocess(1, 8, 8), create("small_cnn", input_shape=(1, 8, 8), classes=2)
    >>> model = ExplainedModel.of(TorchPredictor(net, prepare, ("a", "b")))
    >>> images = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)
    >>> part = prepare_split(ArrayDataset(images, np.zeros(5, np.int64), ("a", "b")), prepare)
    >>> [found] = top_activations(model, [Channel("stage1", 4, "map 4")], part, top=3)
    >>> len(found.positions), bool(found.values[0] >= found.values[2])
    (3, True)
    """
    best = [np.zeros((0, 4)) for _ in channels]  # value, position in the split, and down and across, 0 to 1
    layers = list(dict.fromkeys(channel.layer for channel in channels if channel.layer is not None))
    done, size = 0, model.preprocess.shape[:2]
    for images in part.batches(max_batch_size(*size)):
        feature_maps, logits = _activations(model.inside(), model.inputs(images), layers)
        for number, channel in enumerate(channels):
            # Only the best so far are kept, so memory does not grow with the split.
            rows = np.concatenate([best[number], _peaks(channel.of(feature_maps, logits), done)])
            # Stable, so that of equal activations the earlier image stays first.
            best[number] = rows[np.argsort(-rows[:, 0], kind="stable")][:top]
        done += len(images)
        if progress:
            progress("find top activations", done, len(part))
    fields: dict[str, Field | None] = {}
    if layers and len(part):
        # A field depends on windows and strides and not on pixels, so a blank input will do.
        fields = visualiser_of(model).receptive_fields(model.blank_input, layers)
    return [_entry(channel, rows, fields, size) for channel, rows in zip(channels, best, strict=True)]


def seen(field: Field | None, position: tuple[float, float], size: tuple[int, int]) -> Box:
    """The pixels that a position of a feature map sees; what lies beyond the border is cut off.

    Args:
        field: its receptive field; None sees the whole image.
        position: down and across, as fractions of the image, 0 to 1.
        size: H×W of the image.

    Returns:
        At least one pixel.

    >>> seen(Field((4, 4), (2, 2)), (0.25, 0.9), (8, 8))
    (0, 5, 4, 8)
    """
    if field is None:
        return 0, 0, size[0], size[1]
    # Where the field begins; padding shifts the true one by a pixel at most.
    first = [round(position[i] * size[i] - field.size[i] / 2) for i in (0, 1)]
    # The last pixel at most, so that a crop is never empty.
    top, left = (min(max(first[i], 0), size[i] - 1) for i in (0, 1))
    bottom, right = (
        max(min(first[i] + field.size[i], size[i]), start + 1) for i, start in enumerate((top, left))
    )
    return top, left, bottom, right


def _activations(probe: Probe, inputs: Floats, layers: Sequence[str]) -> tuple[dict[str, Floats], Floats]:
    # A logit needs no hook.
    return probe.feature_maps(inputs, layers) if layers else ({}, probe.logits(inputs))


def _entry(
    channel: Channel, rows: NDArray[np.float64], fields: Mapping[str, Field | None], size: tuple[int, int]
) -> TopActivations:
    field = fields.get(channel.layer or "")
    boxes = tuple(seen(field, (down, across), size) for down, across in rows[:, 2:])
    return TopActivations(channel, rows[:, 1].astype(np.int64), rows[:, 0], boxes)


def _peaks(maps: Floats, start: int) -> NDArray[np.float64]:
    """Of each of N maps N×h×w: its largest value, its number counted from `start`, and where the value is."""
    count, height, width = maps.shape
    flat = maps.reshape(count, height * width).astype(np.float64)
    place = flat.argmax(axis=1)
    value = flat[np.arange(count), place]
    # + 0.5 is the middle of the position, around which its field lies.
    down, across = (place // width + 0.5) / height, (place % width + 0.5) / width
    return np.stack([value, start + np.arange(count), down, across], axis=1)
