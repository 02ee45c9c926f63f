"""What the data decides where nobody else did: the size of the images, their channels, and the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from convscope.core.config import RunConfig
from convscope.core.contracts import Dataset, EncodedDataset
from convscope.core.errors import UserError
from convscope.data.decode import open_image
from convscope.data.source import Source

SAMPLE = 64
SMALL = 64  # pixels a side up to which a set of equal-sized images is used as it is
PHOTO_SIZE = 128
MOST_VALIDATION = 2500  # images; the standard error of 80 % is then 0.8 points, enough to choose an epoch by
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"}


@dataclass(frozen=True)
class Choice:
    """What the data decided: the network, and H×W×C of prepared images, with the reason in words."""

    model: str
    height: int
    width: int
    channels: int
    policy: str
    batch_size: int
    validation: float
    reason: str


def settle(config: RunConfig, choice: Choice, source: Source) -> RunConfig:
    """The configuration with what the data decided written into it, and a path that holds from everywhere."""
    named = source.kind in {"bundled", "published"}
    data = source.name if named else str(Path(config.data.source).resolve())
    return config.merge(
        {
            "data": {"source": data, "channels": choice.channels, "validation": choice.validation},
            "model": {"name": choice.model},
            "augment": {
                "policy": choice.policy,
                "flip": source.mirrors if config.augment.flip is None else config.augment.flip,
            },
            "train": {"batch_size": choice.batch_size},
        }
    )


def choose(config: RunConfig, dataset: Dataset, *, own: str | None = None) -> Choice:
    """Fill in what `config` leaves open, by looking at up to 64 images spread over the data set.

    Equal-sized images of at most 64 pixels keep their size and get small_cnn; everything else is a photograph: 128×128
    pixels and deeper_cnn, which takes 7 GB in batches of 128 and less than 2 in batches of 32. Images that are all grey
    keep 1 channel. Small grey images are mirrored only, others cropped as well: the former come centred, and moving
    them cost a point of Fashion-MNIST within 12 epochs. `own`: the name of a module that was handed in, which then is
    the network.
    """
    sizes, grey = look(dataset)
    small = len(sizes) == 1 and max(next(iter(sizes))) <= SMALL
    height, width = next(iter(sizes)) if small else (PHOTO_SIZE, PHOTO_SIZE)
    if config.data.size:
        height = width = config.data.size
    channels = config.data.channels or (1 if grey else 3)
    model = own or config.model.name or ("small_cnn" if max(height, width) <= SMALL else "deeper_cnn")
    policy = config.augment.policy or ("flip" if small and grey else "basic")
    batch_size = config.train.batch_size or (128 if max(height, width) <= SMALL else 32)
    kind = "small images of one size" if small else "photographs"
    reason = (
        f"{model} on {height}×{width}×{channels}, for {kind}, {batch_size} at a time, augmented by {policy}; "
        "change with --model and --set"
    )
    validation = config.data.validation or min(0.1, MOST_VALIDATION / len(dataset))
    return Choice(model, height, width, channels, policy, batch_size, validation, reason)


def look(dataset: Dataset) -> tuple[set[tuple[int, int]], bool]:
    """The (height, width) that occur in a sample of the data set, and whether every image in it is grey.

    Only headers are read. Raises UserError when not one image of the sample can be opened.
    """
    indices = np.unique(np.linspace(0, len(dataset) - 1, SAMPLE).astype(int))
    if not isinstance(dataset, EncodedDataset):
        shape = dataset[int(indices[0])][0].shape
        return {(shape[0], shape[1])}, shape[2] == 1
    sizes, grey = set(), True
    for index in indices:
        try:
            image = open_image(dataset.encoded(int(index)))
        except UserError:
            continue
        sizes.add((image.height, image.width))
        grey = grey and image.mode in GREY_MODES
    if not sizes:
        raise UserError(f"none of {len(indices)} images tried can be opened; look at them with: convscope scan DATA")
    return sizes, grey
