"""What the data decide where nobody else did: the network, the size of images, the rate, and the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from convscope.core.config import Mode, RunConfig
from convscope.core.contracts import Dataset, EncodedDataset
from convscope.core.errors import UserError
from convscope.core.resolved_config import (
    ResolvedAugment,
    ResolvedConfig,
    ResolvedData,
    ResolvedModel,
    ResolvedTrain,
    ResolvedTransfer,
)
from convscope.data.preparing.decode import open_image
from convscope.data.source import Source
from convscope.models.spec import ModelSpec
from convscope.training.engine import Initialisation

# What 5 % of the images have is missed by 64 of them once in 27 times (0.95^64).
SAMPLE = 64
# Pixels a side up to which images of one size are used as they are.
SMALL = 64
# A third of the pixels of 224×224, and so of the work of convolutions.
PHOTO_SIZE = 128
# Images; the standard error of 80 % is then 0.8 points, enough to choose an epoch by.
MOST_VALIDATION = 2500
# Modes of Pillow with one channel, bilevel and 16 bits among them.
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"}

# An epoch on features takes less than a second; fine-tuning starts near its end.
EPOCHS: dict[Mode, int] = {"scratch": 12, "probe": 40, "finetune": 8}
# Peak learning rates on trained weights; from scratch each network has its own, see `ModelSpec.rate`.
RATES: dict[Mode, float] = {"probe": 0.02, "finetune": 0.001}


@dataclass(frozen=True)
class ImageSample:
    """What a sample of a data set shows.

    `count`: images of the whole. `sizes`: the (height, width) that occur. `grey`: all have one channel.
    """

    count: int
    sizes: frozenset[tuple[int, int]]
    grey: bool

    @property
    def small(self) -> bool:
        """Whether the images have one size, of at most 64 pixels a side."""
        return len(self.sizes) == 1 and max(self.size) <= SMALL

    @property
    def size(self) -> tuple[int, int]:
        """Height and width where the images have one size; otherwise of any of them."""
        return next(iter(self.sizes))


def inspect_images(dataset: Dataset) -> ImageSample:
    """Look at up to 64 images spread evenly over a data set; of encoded ones only headers are read.

    Raises UserError where not one of them can be opened.
    """
    # Fewer images than that give the same index several times.
    indices = np.unique(np.linspace(0, len(dataset) - 1, SAMPLE).astype(int))
    if not isinstance(dataset, EncodedDataset):
        # The images of an array have one shape: the first speaks for all.
        height, width, channels = dataset[int(indices[0])][0].shape
        return ImageSample(len(dataset), frozenset({(height, width)}), channels == 1)
    sizes, grey = set(), True
    for index in indices:
        try:
            image = open_image(dataset.encoded(int(index)))
        except UserError:
            continue  # the scan names it; one broken file decides nothing here
        sizes.add((image.height, image.width))
        grey = grey and image.mode in GREY_MODES
    if not sizes:
        raise UserError(
            f"none of {len(indices)} images tried can be opened; look at them with: convscope scan DATA"
        )
    return ImageSample(len(dataset), frozenset(sizes), grey)


def are_photographs(config: RunConfig, images: ImageSample) -> bool:
    """Whether the network will see more than 64 pixels a side, where features of photographs help most."""
    return (config.data.size or (max(images.size) if images.small else PHOTO_SIZE)) > SMALL


def choose_size(config: RunConfig, images: ImageSample, start: Initialisation) -> tuple[int, int]:
    """Height and width: those asked for, those that weights expect, the images' own where small, or 128."""
    if config.data.size:
        return config.data.size, config.data.size
    # Trained weights know things at the size at which they have seen them.
    if start.size:
        return start.size
    return images.size if images.small else (PHOTO_SIZE, PHOTO_SIZE)


def choose_network(config: RunConfig, images: ImageSample, start: Initialisation) -> str:
    """The name of the network: that of the weights, that asked for, or one for the size of the images.

    From nothing, deeper_cnn on photographs takes 7 GB in batches of 128, and less than 2 in batches of 32.
    """
    default = "deeper_cnn" if are_photographs(config, images) else "small_cnn"
    return start.network or config.model.name or default


def choose_policy(config: RunConfig, images: ImageSample, mode: Mode) -> str:
    """The augmentation: none on features, else that asked for, else basic, or flip for small grey images.

    Padded crops of small grey images cost a point of Fashion-MNIST within 12 epochs.
    """
    # Features are computed once: an image that changes with every epoch has none.
    if mode == "probe":
        return "none"
    return config.augment.policy or ("flip" if images.small and images.grey else "basic")


def choose_batch_size(config: RunConfig, mode: Mode, size: tuple[int, int]) -> int:
    """Images in a batch: 128 of features or small images, and 32 of photographs, whose maps fill memory."""
    # What fills memory are feature maps, and features have none.
    light = mode == "probe" or max(size) <= SMALL
    return config.train.batch_size or (128 if light else 32)


def choose_normalisation(
    config: RunConfig, start: Initialisation
) -> Literal["statistics", "symmetric", "weights"]:
    """What images are normalised by: what trained weights expect, or statistics of the training images."""
    return config.data.normalise or ("statistics" if start.statistics is None else "weights")


def resolve(
    config: RunConfig, images: ImageSample, start: Initialisation, *, source: Source, spec: ModelSpec
) -> ResolvedConfig:
    """The configuration with everything that was left open decided.

    Args:
        config: what a person asked for.
        images: a sample of the training split.
        start: where training starts.
        source: the data; its name or full path is written down, so that it holds from every folder.
        spec: the network of `choose_network`, or a custom model.
    """
    mode = start.mode
    height, width = choose_size(config, images, start)
    return ResolvedConfig(
        **{key: getattr(config, key) for key in ("engine", "task", "decision", "seed")},
        data=ResolvedData(
            **vars(config.data)
            | {
                "source": _place(config, source),
                "channels": config.data.channels or (1 if images.grey else 3),
                "normalise": choose_normalisation(config, start),
                "validation": config.data.validation or min(0.1, MOST_VALIDATION / images.count),
            }
        ),
        model=ResolvedModel(name=spec.name, options=config.model.options),
        transfer=ResolvedTransfer(
            **vars(config.transfer)
            | {"mode": mode, "pretrained": start.reference, "weights_fingerprint": start.fingerprint}
        ),
        augment=ResolvedAugment(
            **vars(config.augment)
            | {
                "policy": choose_policy(config, images, mode),
                "flip": source.mirrors if config.augment.flip is None else config.augment.flip,
            }
        ),
        train=ResolvedTrain(
            **vars(config.train)
            | {
                "epochs": config.train.epochs or EPOCHS[mode],
                "batch_size": choose_batch_size(config, mode, (height, width)),
                "lr": config.train.lr or RATES.get(mode, spec.rate),
            }
        ),
        height=height,
        width=width,
    )


def _place(config: RunConfig, source: Source) -> str:
    # A relative path means something else in another folder, and a run that goes on would be refused.
    named = source.kind in {"bundled", "published"}
    return source.name if named else str(Path(config.data.source).resolve())


def describe(config: ResolvedConfig, images: ImageSample, start: Initialisation) -> str:
    """What was chosen, for a person to read and to change."""
    name, mode = config.model.name, config.transfer.mode
    way = {
        "scratch": name,
        "probe": f"a linear head on the features of {name}",
        "finetune": f"fine-tuning {name}",
    }[mode]
    weights = f" ({start.origin})" if mode != "scratch" else ""
    shape = f"{config.height}×{config.width}×{config.data.channels}"
    kind = "small images of one size" if images.small else "photographs"
    augmented = "" if mode == "probe" else f", augmented by {config.augment.policy}"
    return (
        f"{way}{weights} on {shape}, for {kind}, {config.train.batch_size} at a time{augmented}; "
        "change with --model, --mode and --set"
    )
