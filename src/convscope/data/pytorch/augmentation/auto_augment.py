"""RandAugment and TrivialAugment, which need no search, and the policy of AutoAugment for CIFAR-10."""

from __future__ import annotations

import torch
from torch import Tensor

from convscope.core.errors import UserError
from convscope.data.pytorch.augmentation.op_dispatch import (
    OPERATIONS,
    magnitudes,
    mild_ranges,
    transform,
    wide_ranges,
)
from convscope.data.pytorch.augmentation.per_image import integers, signs, uniform

LEVELS = 30
"""Magnitudes are whole numbers from 0 to this."""

_CANDIDATES = OPERATIONS.index("invert")  # RandAugment and TrivialAugment choose from all before it


def rand_augment(x: Tensor, rng: torch.Generator, *, num_ops: int = 2, magnitude: int = 9) -> Tensor:
    """Apply `num_ops` random operations, one after the other, all at one magnitude (Cubuk et al. 2019).

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of the operations and of their signs, for each image.
        num_ops: operations an image, of the fourteen; doing nothing is one of them.
        magnitude: 0 … 30.

    >>> rand_augment(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.Generator()).shape
    torch.Size([4, 3, 32, 32])
    """
    if not 0 <= magnitude <= LEVELS:
        raise UserError(f"the magnitude of rand_augment must be between 0 and {LEVELS}, got {magnitude}")
    ranges = mild_ranges(*x.shape[2:])
    # One magnitude for all, as in the paper; the operation alone is random.
    level = torch.full((len(x),), magnitude / LEVELS, device=x.device)
    for _ in range(num_ops):
        which = integers(x, rng, _CANDIDATES)
        x = transform(x, which, magnitudes(which, level, signs(x, rng), ranges=ranges))
    return x


def trivial_augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """Apply one random operation at one random magnitude of the wide space (Müller and Hutter 2021).

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of the operations, magnitudes and signs, for each image.

    >>> trivial_augment(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.Generator()).shape
    torch.Size([4, 3, 32, 32])
    """
    which = integers(x, rng, _CANDIDATES)
    level = integers(x, rng, LEVELS + 1) / LEVELS
    return transform(x, which, magnitudes(which, level, signs(x, rng), ranges=wide_ranges(*x.shape[2:])))


Step = tuple[str, float, int]

# Operation, probability, magnitude 0 … 9; an image takes one row and its two steps (Cubuk et al. 2018, table
# 7).
CIFAR10: tuple[tuple[Step, Step], ...] = (
    (("invert", 0.1, 7), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 8), ("equalize", 0.9, 2)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("colour", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("colour", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 7), ("autocontrast", 0.4, 8)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("colour", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 3)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
    (("colour", 0.9, 9), ("equalize", 0.6, 6)),
    (("autocontrast", 0.8, 4), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("colour", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 3)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 2), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 8), ("invert", 0.1, 3)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 1)),
)

_INDICES = torch.tensor([[OPERATIONS.index(name) for name, _, _ in row] for row in CIFAR10])
_PROBABILITIES = torch.tensor([[p for _, p, _ in row] for row in CIFAR10])
_LEVELS = torch.tensor([[magnitude for _, _, magnitude in row] for row in CIFAR10]) / 9


def auto_augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """Take one of the 25 rows for each image and its two steps, each with its probability.

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of the rows, of the steps that are taken, and of the signs.

    >>> auto_augment(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.Generator()).shape
    torch.Size([4, 3, 32, 32])
    """
    row, ranges = integers(x, rng, len(CIFAR10)), mild_ranges(*x.shape[2:])
    indices, probabilities, levels = (
        table.to(x.device)[row] for table in (_INDICES, _PROBABILITIES, _LEVELS)
    )
    for step in range(2):
        taken = uniform(x, rng, (0, 1)) < probabilities[:, step]
        which = torch.where(taken, indices[:, step], 0)  # 0 is the identity
        x = transform(x, which, magnitudes(which, levels[:, step], signs(x, rng), ranges=ranges))
    return x
