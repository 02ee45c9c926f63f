"""Named ways to augment, each a row of operations and their parameters that reads as a list.

An operation takes (x, rng) and parameters by keyword, x being uint8 N×C×H×W, and returns the like; so does a policy.
Policies are for training alone: evaluation and prediction never call one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from convscope.core.errors import unknown_name
from convscope.core.registry import Registry
from convscope.data.erase import cutout, random_erasing
from convscope.data.geometry import padded_crop, random_flip, random_vertical_flip

Operation = Callable[..., Tensor]
Policy = Callable[[Tensor, torch.Generator], Tensor]
Steps = tuple[tuple[str, dict[str, Any]], ...]

operations: Registry[Operation] = Registry("augmentation")
operations.add("flip")(random_flip)
operations.add("vertical_flip")(random_vertical_flip)
operations.add("padded_crop")(padded_crop)
operations.add("cutout")(cutout)
operations.add("random_erasing")(random_erasing)

policies: dict[str, Steps] = {
    "none": (),
    "basic": (("flip", {}), ("padded_crop", {})),
}

_MIRRORS = ("flip", "vertical_flip")


def policy(name: str, *, flip: bool = True) -> Policy:
    """The augmentation of that name: none, basic, strong, auto, or one operation, or several joined by "+".

    Args:
        name: such as "basic", "rand_augment" or "basic+cutout".
        flip: False leaves mirror images out, for digits, letters and whatever else has a right way round.

    Returns:
        A function of (x uint8 N×C×H×W, generator) to uint8 N×C×H×W, channels-last, that leaves `x` as it was.

    Raises:
        UserError: no policy or operation has that name.

    >>> x = torch.zeros(2, 1, 28, 28, dtype=torch.uint8)
    >>> policy("basic", flip=False)(x, torch.Generator()).shape
    torch.Size([2, 1, 28, 28])
    """
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
