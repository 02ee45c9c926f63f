"""Named ways to augment, each a row of operations and their parameters that reads as a list.

An operation takes (x, rng) and parameters by keyword, x being uint8 N×C×H×W, and returns the like; so does a
policy. Policies are for training alone: evaluation and prediction never call one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from convscope.core.errors import unknown_name
from convscope.core.registry import Registry
from convscope.data.pytorch.augmentation.auto_augment import auto_augment, rand_augment, trivial_augment
from convscope.data.pytorch.augmentation.colour import colour_jitter, random_greyscale
from convscope.data.pytorch.augmentation.erase import cutout, random_erasing
from convscope.data.pytorch.augmentation.geometry import padded_crop, random_flip, random_vertical_flip
from convscope.data.pytorch.augmentation.warp import random_rotation, resized_crop

Operation = Callable[..., Tensor]
Policy = Callable[[Tensor, torch.Generator], Tensor]
Steps = tuple[tuple[str, dict[str, Any]], ...]


def fitting_crop(x: Tensor, rng: torch.Generator) -> Tensor:
    """A padded crop below 96 pixels of height, a resized crop of 60 to 100 % of the area from there on.

    Small images are cut by hand to their object, so a shift is what varies; large ones are photographs, where
    the distance varies too.

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of the crops.

    >>> fitting_crop(torch.zeros(1, 3, 32, 32, dtype=torch.uint8), torch.Generator()).shape
    torch.Size([1, 3, 32, 32])
    """
    return padded_crop(x, rng) if x.shape[2] < 96 else resized_crop(x, rng, scale=(0.6, 1.0))


# One list: the contract test runs over it, and --set augment.policy takes its names.
_named: dict[str, Operation] = {
    "flip": random_flip,
    "vertical_flip": random_vertical_flip,
    "padded_crop": padded_crop,
    "resized_crop": resized_crop,
    "fitting_crop": fitting_crop,
    "rotation": random_rotation,
    "colour_jitter": colour_jitter,
    "greyscale": random_greyscale,
    "cutout": cutout,
    "random_erasing": random_erasing,
    "rand_augment": rand_augment,
    "trivial_augment": trivial_augment,
    "auto_augment": auto_augment,
}
operations: Registry[Operation] = Registry("augmentation")
for _name, _operation in _named.items():
    operations.add(_name)(_operation)

# Order matters: erasing comes last, so that no colour changes its fill.
policies: dict[str, Steps] = {
    "none": (),
    "basic": (("flip", {}), ("fitting_crop", {})),
    "strong": (
        ("flip", {}),
        ("resized_crop", {"scale": (0.6, 1.0)}),
        ("colour_jitter", {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue_turn": 0.1}),
        ("greyscale", {"p": 0.05}),
        ("random_erasing", {"p": 0.25}),
    ),
    "auto": (("flip", {}), ("fitting_crop", {}), ("trivial_augment", {}), ("cutout", {})),
}

_MIRRORS = ("flip", "vertical_flip")


def policy(name: str, *, flip: bool = True) -> Policy:
    """The augmentation of that name: none, basic, strong, auto, or one operation, or several joined by "+".

    Args:
        name: such as "basic", "rand_augment" or "basic+cutout".
        flip: False leaves mirror images out, for digits, letters and whatever else has a right way round.

    Returns:
        A function of (x uint8 N×C×H×W, generator) to uint8 N×C×H×W, channels-last, that leaves `x` as it was;
        with "none" it returns `x` itself.

    Raises:
        UserError: no policy or operation has that name.

    >>> x = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    >>> policy("basic", flip=False)(x, torch.Generator()).shape
    torch.Size([2, 1, 28, 28])
    """
    # Mirrors fall out of named policies too: "basic" without flip is the crop alone.
    steps = [step for part in name.split("+") for step in _steps(part) if flip or step[0] not in _MIRRORS]

    def augment(x: Tensor, rng: torch.Generator) -> Tensor:
        for operation, parameters in steps:
            x = operations[operation](x, rng, **parameters)
        return x

    return augment


def _steps(name: str) -> Steps:
    if name in policies:
        return policies[name]
    if name in operations:
        return ((name, {}),)
    raise unknown_name("augmentation policy", name, [*policies, *operations])
