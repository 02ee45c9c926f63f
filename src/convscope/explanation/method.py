"""What a method of explaining is, and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.registry import Registry
from convscope.explanation.subject import Subject

Maps: TypeAlias = NDArray[np.floating[Any]]
Compute: TypeAlias = Callable[[Subject, NDArray[np.uint8], NDArray[np.int64]], Maps]
"""From a subject, N prepared images uint8 N×H×W×C and N classes to raw maps N×h×w, perhaps smaller than the images."""


@dataclass(frozen=True)
class Method:
    """A way to say which pixels counted for a class.

    `looks_at`: "maps" of a layer, "gradients" of the image, or "answers" alone. `rectified`: what speaks against the
    class is cut off, as the authors of the method do; else it stays, below zero. `class_blind`: the map is the same for
    every class. `when_nan`: why a map may be NaN, beside answers that are not finite.
    """

    name: str
    title: str
    looks_at: Literal["maps", "gradients", "answers"]
    paper: str
    compute: Compute
    rectified: bool = False
    class_blind: bool = False
    when_nan: str = ""


methods: Registry[Method] = Registry("method of explaining")


def enter(method: Method) -> None:
    """Put a method on the list."""
    methods.add(method.name)(method)
