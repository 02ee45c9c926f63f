"""A configuration in which nothing is left open: what the engine and the loop are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from convscope.core.config import (
    AugmentConfig,
    DataConfig,
    Mode,
    ModelConfig,
    RunConfig,
    TrainConfig,
    TransferConfig,
)


# kw_only: a field without a default could not follow those that have one.
@dataclass(frozen=True, kw_only=True)
class ResolvedData(DataConfig):
    """A DataConfig that leaves open neither channels nor normalisation nor the fraction to hold out."""

    # `field()`: without it the default of the parent, None, would be inherited.
    channels: Literal[1, 3] = field()
    normalise: Literal["statistics", "symmetric", "weights"] = field()
    validation: float = field()


@dataclass(frozen=True, kw_only=True)
class ResolvedModel(ModelConfig):
    """A ModelConfig with the name of the network."""

    name: str = field()


@dataclass(frozen=True, kw_only=True)
class ResolvedTransfer(TransferConfig):
    """A TransferConfig with the way of training."""

    mode: Mode = field()


@dataclass(frozen=True, kw_only=True)
class ResolvedAugment(AugmentConfig):
    """An AugmentConfig with policy, and whether it may mirror."""

    policy: str = field()
    flip: bool = field()


@dataclass(frozen=True, kw_only=True)
class ResolvedTrain(TrainConfig):
    """A TrainConfig with epochs, batch size and peak rate."""

    epochs: int = field()
    batch_size: int = field()
    lr: float = field()


@dataclass(frozen=True, kw_only=True)
class ResolvedConfig(RunConfig):
    """A RunConfig in which nothing is left open, once data and trained weights have decided the rest.

    Device, precision and threads are the engine's to choose on the machine that it finds. `height` and
    `width`: pixels of prepared images; `to_dict` leaves them out, since they follow from the rest.
    """

    data: ResolvedData = field()
    model: ResolvedModel = field()
    transfer: ResolvedTransfer = field()
    augment: ResolvedAugment = field()
    train: ResolvedTrain = field()
    height: int = field()
    width: int = field()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """C, H and W of the network's input."""
        return self.data.channels, self.height, self.width
