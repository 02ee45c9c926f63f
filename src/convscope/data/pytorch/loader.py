"""Batches for training: uint8 images from memory or a memory map, gathered, augmented and normalised.

There is no Python per image and no worker process: one gather, then operations on the whole batch. Every
random choice is a function of (seed, epoch, batch), so any batch of any epoch can be made again without those
before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convscope.core.seeds import derive, generator
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.pytorch.augmentation.mix import Mix
from convscope.data.pytorch.augmentation.policies import Policy
from convscope.data.pytorch.normalise import normalise
from convscope.data.pytorch.tensors import to_nchw

Mixable = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Loader:
    """The training batches of a split.

    `split`: prepared images with targets, in memory or in a memory map. `augment`: uint8 N×C×H×W to the same.
    `mean`, `std`: per channel, in units of 0–1. `mix`: blends normalised images and targets, or None.
    `mixable`: from targets, as they are, to the float N×K that `mix` blends, such as one-hot classes; None
    where they are such floats already. `weights`: how likely each image is drawn (with replacement), or None
    for each once an epoch. A last batch that is not full is left out; who is in it changes with every epoch.
    """

    split: PreparedSplit
    batch_size: int
    augment: Policy
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int
    mix: Mix | None = None
    mixable: Mixable | None = None
    weights: NDArray[np.float64] | None = None
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    targets: NDArray[Any] = field(init=False)

    def __post_init__(self) -> None:
        """Take the targets of the split once, floats in single precision: asking for them copies them."""
        targets = self.split.targets
        # NumPy computes in double precision, and losses compare with float32 outputs.
        floats = targets.dtype.kind == "f"
        if self.mix and not (self.mixable or floats):
            raise ValueError(f"targets of type {targets.dtype} cannot be blended; give mixable beside mix")
        object.__setattr__(self, "targets", targets.astype(np.float32) if floats else targets)

    def __len__(self) -> int:
        """Batches in an epoch, at least one."""
        # Fewer images than a batch are one short batch.
        return max(1, len(self.split) // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Which image comes when in this epoch: indices, one an image, a pure function of (seed, epoch)."""
        # From (seed, epoch) alone: a run that resumes at epoch 7 needs no state of epochs 1 to 6.
        rng = generator(self.seed, "order", epoch)
        count = len(self.split)
        if self.weights is None:
            return rng.permutation(count)
        return rng.choice(count, size=count, p=self.weights / self.weights.sum())

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of an epoch.

        Args:
            epoch: counted from 0.
            start: the first batch; those before it are not made.

        Returns:
            Images float N×C×H×W and targets N×…, or float N×K where they were mixed.
        """
        order = self.order(epoch)
        for batch in range(start, len(self)):
            yield self.batch(order[batch * self.batch_size : (batch + 1) * self.batch_size], epoch, batch)

    def batch(self, indices: NDArray[np.int64], epoch: int, batch: int) -> tuple[Tensor, Tensor]:
        """One batch as the network sees it, on `device`.

        Args:
            indices: positions in the split, N.
            epoch: with `batch` and the seed, all that its randomness depends on.
            batch: counted from 0.
        """
        # On the CPU, whatever the device: augmentation is then the same on all.
        rng = torch.Generator().manual_seed(derive(self.seed, "augment", epoch, batch))
        x = self.inputs(indices, rng)
        targets = torch.from_numpy(self.targets[indices]).to(self.device, non_blocking=True)
        if self.mix is None:
            return x, targets
        return self.mix(x, self.mixable(targets) if self.mixable else targets, rng)

    def inputs(self, indices: NDArray[np.int64], rng: torch.Generator) -> Tensor:
        """Some of the images as the network sees them, augmented and normalised.

        Args:
            indices: positions in the split, N.
            rng: source of the augmentation.

        Returns:
            float N×C×H×W, channels-last, on `device`.
        """
        x = to_nchw(self.split.take(indices), self.device)
        return normalise(self.augment(x, rng), self.mean, self.std, dtype=self.dtype)
