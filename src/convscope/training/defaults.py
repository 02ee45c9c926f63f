"""What the data decides where nobody else did: where training starts, the network, the size of images, the
rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from convscope.core.config import RunConfig
from convscope.core.contracts import Dataset, EncodedDataset
from convscope.core.errors import UserError
from convscope.data.preparing.decode import open_image
from convscope.data.source import Source
from convscope.models.pytorch.pretrained import canonical_reference
from convscope.models.pytorch.zoo import networks
from convscope.training.pytorch.transfer import Initialisation, Mode, choose_initialisation

SAMPLE = 64
SMALL = 64  # pixels a side up to which a set of equal-sized images is used as it is
PHOTO_SIZE = 128
MOST_VALIDATION = 2500  # images; the standard error of 80 % is then 0.8 points, enough to choose an epoch by
GREY_MODES = {"1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "F"}


# Epochs and peak learning rate of each way of training.
PLANS: dict[Mode, tuple[int, float]] = {"scratch": (12, 0.1), "probe": (40, 0.02), "finetune": (8, 0.001)}


@dataclass(frozen=True)
class Defaults:
    """What the data decided: where training starts, and H×W×C of prepared images, with the reason in
    words.
    """

    model: str
    height: int
    width: int
    channels: int
    policy: str
    batch_size: int
    validation: float
    reason: str
    start: Initialisation = field(default_factory=Initialisation)


def settle(config: RunConfig, choice: Defaults, source: Source) -> RunConfig:
    """The configuration with what the data decided written into it, and a path that holds from everywhere."""
    named = source.kind in {"bundled", "published"}
    data = source.name if named else str(Path(config.data.source).resolve())
    epochs, lr = PLANS[choice.start.mode]
    if choice.start.mode == "scratch" and choice.model in networks:
        lr = networks[choice.model].spec.rate
    word, weights = choice.start.word, choice.start.weights
    return config.merge(
        {
            "data": {
                "source": data,
                "channels": choice.channels,
                "validation": choice.validation,
                "normalise": config.data.normalise or ("weights" if weights else "statistics"),
            },
            "model": {"name": choice.model},
            "transfer": {
                "mode": choice.start.mode,
                "pretrained": word and canonical_reference(word),
                "weights_fingerprint": weights.digest()
                if weights and choice.start.mode != "scratch"
                else None,
            },
            "augment": {
                "policy": choice.policy,
                "flip": source.mirrors if config.augment.flip is None else config.augment.flip,
            },
            "train": {
                "batch_size": choice.batch_size,
                "epochs": config.train.epochs or epochs,
                "lr": config.train.lr or lr,
            },
        }
    )


def choose_defaults(config: RunConfig, dataset: Dataset, *, own: str | None = None) -> Defaults:
    """Fill in what `config` leaves open, by looking at up to 64 images spread over the data set.

    Equal-sized images of at most 64 pixels keep their size and get small_cnn. Everything else is a
    photograph: it gets a head on the features of SqueezeNet 1.0, at the size that its weights expect, and
    where training starts from nothing, 128×128 pixels and deeper_cnn, which takes 7 GB in batches of 128 and
    less than 2 in batches of 32. Images that are all grey keep one channel. Small grey images are mirrored at
    most, since padded crops of them cost a point of Fashion-MNIST within 12 epochs. `own`: the name of a
    module that was handed in, which then is the network.
    """
    sizes, grey = inspect_images(dataset)
    small = len(sizes) == 1 and max(next(iter(sizes))) <= SMALL
    tiny = (config.data.size or (max(next(iter(sizes))) if small else PHOTO_SIZE)) <= SMALL
    start = choose_initialisation(config, photographs=not tiny, own=own is not None)
    size = config.data.size
    if size:
        height, width = size, size
    elif start.weights:
        height, width = start.weights.size
    else:
        height, width = next(iter(sizes)) if small else (PHOTO_SIZE, PHOTO_SIZE)
    model = (
        own
        or (start.weights and start.weights.name)
        or config.model.name
        or ("small_cnn" if tiny else "deeper_cnn")
    )
    policy = (
        "none" if start.mode == "probe" else config.augment.policy or ("flip" if small and grey else "basic")
    )
    features = start.mode == "probe" or max(height, width) <= SMALL
    validation = config.data.validation or min(0.1, MOST_VALIDATION / len(dataset))
    choice = Defaults(
        model=model,
        start=start,
        height=height,
        width=width,
        channels=config.data.channels or (1 if grey else 3),
        policy=policy,
        batch_size=config.train.batch_size or (128 if features else 32),
        validation=validation,
        reason="",
    )
    return replace(choice, reason=_reason(choice, "small images of one size" if small else "photographs"))


def _reason(choice: Defaults, kind: str) -> str:
    """What was chosen, for a person to read and to change."""
    ways = {
        "scratch": choice.model,
        "probe": f"a linear head on the features of {choice.model}",
        "finetune": f"fine-tuning {choice.model}",
    }
    used = choice.start.weights if choice.start.mode != "scratch" else None
    weights = f" ({used.origin})" if used else ""
    augmented = "" if choice.start.mode == "probe" else f", augmented by {choice.policy}"
    return (
        f"{ways[choice.start.mode]}{weights} on {choice.height}×{choice.width}×{choice.channels}, for "
        f"{kind}, "
        f"{choice.batch_size} at a time{augmented}; change with --model, --mode and --set"
    )


def inspect_images(dataset: Dataset) -> tuple[set[tuple[int, int]], bool]:
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
        raise UserError(
            f"none of {len(indices)} images tried can be opened; look at them with: convscope scan DATA"
        )
    return sizes, grey
