"""Batches for training: uint8 images from memory or a memory map, gathered, augmented and normalised a batch
at a time.

There is no Python per image and no worker process: one gather, then operations on the whole batch. Every
random choice is a function of (seed, epoch, batch), so any batch of any epoch can be made again without those
before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from convscope.core.seeds import derive, generator
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.pytorch.augmentation.mix import Mix
from convscope.data.pytorch.augmentation.policies import Policy
from convscope.data.pytorch.normalise import normalise


@dataclass(frozen=True)
class Loader:
    """The training batches of a split with `classes` classes.

    `part`: prepared images with labels, in memory or in a memory map. `augment`: uint8 N×C×H×W to the same.
    `mix`: blends normalised images and soft targets, or None. `mean`, `std`: per channel, in units of 0–1.
    `weights`: how likely each image is drawn (with replacement), or None for each once an epoch. A last batch
    that is not full is left out; who is in it changes with every epoch.
    """

    part: PreparedSplit
    classes: int
    batch_size: int
    augment: Policy
    mean: tuple[float, ...]
    std: tuple[float, ...]
    seed: int
    mix: Mix | None = None
    weights: NDArray[np.float64] | None = None
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    labels: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        """Take the labels of the part once: asking it copies them."""
        object.__setattr__(self, "labels", self.part.targets)

    def __len__(self) -> int:
        """Batches in an epoch, at least one."""
        return max(1, len(self.part) // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Which image comes when in this epoch: indices, one an image, a pure function of (seed, epoch)."""
        rng = generator(self.seed, "order", epoch)
        count = len(self.part)
        if self.weights is None:
            return rng.permutation(count)
        return rng.choice(count, size=count, p=self.weights / self.weights.sum())

    def epoch(self, epoch: int, *, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches `start`, `start + 1`, … of an epoch: images float N×C×H×W and targets, int64 N or float
        N×K.
        """
        order = self.order(epoch)
        for batch in range(start, len(self)):
            yield self.batch(order[batch * self.batch_size : (batch + 1) * self.batch_size], epoch, batch)

    def batch(self, indices: NDArray[np.int64], epoch: int, batch: int) -> tuple[Tensor, Tensor]:
        """One batch as the network sees it, on `device`, with the randomness of (seed, epoch, batch)."""
        rng = torch.Generator().manual_seed(derive(self.seed, "augment", epoch, batch))
        x = self.inputs(indices, rng)
        targets = torch.from_numpy(self.labels[indices]).to(self.device, non_blocking=True)
        if self.mix is None:
            return x, targets
        return self.mix(x, F.one_hot(targets, self.classes).float(), rng)

    def inputs(self, indices: NDArray[np.int64], rng: torch.Generator) -> Tensor:
        """The images at `indices` as the network sees them, augmented by `rng` and normalised, float
        N×C×H×W.
        """
        x = torch.from_numpy(self.part.take(indices)).permute(0, 3, 1, 2).to(self.device, non_blocking=True)
        return normalise(self.augment(x, rng), self.mean, self.std, dtype=self.dtype)
