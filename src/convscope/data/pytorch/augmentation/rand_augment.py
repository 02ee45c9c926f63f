"""Two automatic policies without a search: RandAugment and TrivialAugment."""

from __future__ import annotations

import torch
from torch import Tensor

from convscope.core.errors import UserError
from convscope.data.pytorch.augmentation.op_dispatch import (
    CHOICES,
    magnitudes,
    mild_ranges,
    transform,
    wide_ranges,
)
from convscope.data.pytorch.augmentation.random_params import coin, integers

LEVELS = 30
"""Magnitudes are told in whole numbers from 0 to this."""

_DRAWN = CHOICES.index("invert")  # both draw from all that stand before it


def rand_augment(x: Tensor, rng: torch.Generator, *, num_ops: int = 2, magnitude: int = 9) -> Tensor:
    """Apply `num_ops` random operations, one after the other, all at one magnitude (Cubuk et al. 2019).

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of the operations and of their signs, drawn for each image.
        num_ops: operations an image, of the fourteen; doing nothing is one of them.
        magnitude: 0 … 30.

    >>> rand_augment(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.Generator()).shape
    torch.Size([4, 3, 32, 32])
    """
    if not 0 <= magnitude <= LEVELS:
        raise UserError(f"the magnitude of rand_augment must be between 0 and {LEVELS}, got {magnitude}")
    reach = mild_ranges(*x.shape[2:])
    level = torch.full((len(x),), magnitude / LEVELS, device=x.device)
    for _ in range(num_ops):
        which = integers(x, rng, _DRAWN)
        x = transform(x, which, magnitudes(which, level, signs(x, rng), reach=reach))
    return x


def trivial_augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """Apply one random operation at one random magnitude of the wide space (Müller and Hutter 2021).

    >>> trivial_augment(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.Generator()).shape
    torch.Size([4, 3, 32, 32])
    """
    which = integers(x, rng, _DRAWN)
    level = integers(x, rng, LEVELS + 1) / LEVELS
    return transform(x, which, magnitudes(which, level, signs(x, rng), reach=wide_ranges(*x.shape[2:])))


def signs(x: Tensor, rng: torch.Generator) -> Tensor:
    """1 or −1 for each image, float N, as likely.

    >>> set(signs(torch.zeros(64, 1, 1, 1), torch.Generator().manual_seed(0)).tolist()) == {-1.0, 1.0}
    True
    """
    return coin(x, rng, 0.5) * 2.0 - 1.0
