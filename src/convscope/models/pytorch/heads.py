"""Heads: from the last maps of a network to one logit a class."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import check_fraction

MakeHead: TypeAlias = Callable[[int, int, int], nn.Module]
"""Makes the head for maps C×H×W; called with those three."""


def dense_head(hidden: int, classes: int, *, dropout: float) -> MakeHead:
    """A head with one hidden layer: flatten → linear → ReLU → dropout → linear, made for maps C×H×W.

    Args:
        hidden: numbers of the hidden layer, 1 or more.
        classes: K, the logits.
        dropout: fraction of the hidden numbers left out in training, from 0 up to, but not including, 1.

    Raises:
        UserError: one of them is out of its range.
    """
    if hidden < 1:
        raise UserError(f"hidden is {hidden}; give a hidden layer 1 or more numbers")
    check_fraction("dropout", dropout)
    return lambda c, h, w: nn.Sequential(
        nn.Flatten(), nn.Linear(c * h * w, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
    )


def average_head(classes: int, *, dropout: float | None = None) -> MakeHead:
    """A head for images of any size: the mean of each map, then a linear layer (Lin, Chen & Yan 2013).

    Args:
        classes: K, the logits.
        dropout: fraction left out before the linear layer, from 0 up to, but not including, 1; None for no
            such layer.
    """
    # Without dropout there is no layer for it: published weights count the layers of a head.
    fractions = () if dropout is None else (dropout,)
    for fraction in fractions:
        check_fraction("dropout", fraction)
    return lambda c, _h, _w: nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), *map(nn.Dropout, fractions), nn.Linear(c, classes)
    )


class Standardise(nn.Module):
    """(x − mean) / std for each of C numbers; measured once, stored with the weights, never trained."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def measure(self, features: Tensor) -> None:
        """Take mean and deviation from features N×C; a deviation counts as at least a tenth of the mean one.

        A map that is blank in all training images has none, and a spark of it in another would drown
        everything else.
        """
        std = features.std(dim=0, correction=0)
        self.mean.copy_(features.mean(dim=0))
        self.std.copy_(std.clamp_min(max(1e-6, 0.1 * float(std.mean()))))

    def forward(self, x: Tensor) -> Tensor:
        """N×C to N×C."""
        return (x - self.mean) / self.std


def linear_head(classes: int) -> MakeHead:
    """The head that transfer learning trains: the mean of each map, standardised, then a linear layer."""
    # Standardised, one learning rate suits the features of every network.
    return lambda c, _h, _w: nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), Standardise(c), nn.Linear(c, classes)
    )
