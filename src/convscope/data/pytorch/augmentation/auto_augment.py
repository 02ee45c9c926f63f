"""AutoAugment: the policy that a search found for CIFAR-10."""

from __future__ import annotations

import torch
from torch import Tensor

from convscope.data.pytorch.augmentation.op_dispatch import CHOICES, magnitudes, mild_ranges, transform
from convscope.data.pytorch.augmentation.rand_augment import signs
from convscope.data.pytorch.augmentation.random_params import integers, uniform

Step = tuple[str, float, int]

# Operation, probability, magnitude 0 … 9; an image draws one row and does its two steps (Cubuk et al. 2018,
# table 7).
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

_PLACES = torch.tensor([[CHOICES.index(name) for name, _, _ in row] for row in CIFAR10])
_CHANCES = torch.tensor([[p for _, p, _ in row] for row in CIFAR10])
_LEVELS = torch.tensor([[magnitude for _, _, magnitude in row] for row in CIFAR10]) / 9


def auto_augment(x: Tensor, rng: torch.Generator) -> Tensor:
    """Draw one of the 25 rows for each image and do its two steps, each with its probability.

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of the rows, of what is done, and of the signs.

    >>> auto_augment(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.Generator()).shape
    torch.Size([4, 3, 32, 32])
    """
    row, reach = integers(x, rng, len(CIFAR10)), mild_ranges(*x.shape[2:])
    places, chances, levels = (table.to(x.device)[row] for table in (_PLACES, _CHANCES, _LEVELS))
    for step in range(2):
        which = torch.where(uniform(x, rng, (0, 1)) < chances[:, step], places[:, step], 0)
        x = transform(x, which, magnitudes(which, levels[:, step], signs(x, rng), reach=reach))
    return x
