"""What a method of explaining is, and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.registry import Registry
from convscope.explanation.explained_model import ExplainedModel

Maps: TypeAlias = NDArray[np.floating[Any]]
Compute: TypeAlias = Callable[[ExplainedModel, NDArray[np.uint8], NDArray[np.int64]], Maps]
"""From a explained_model, N prepared images uint8 N×H×W×C and N classes to raw maps N×h×w, perhaps smaller
than the images.
"""


@dataclass(frozen=True)
class Method:
    """A way to say which pixels counted for a class.

    `needs`: "maps" of a layer, "gradients" of the image, or "answers" alone. `relu`: what speaks against the
    class is cut off, as the authors of the method do; else it stays, below zero. `class_agnostic`: the map is
    the same for every class. `when_nan`: why a map may be NaN, beside answers that are not finite.
    """

    name: str
    title: str
    needs: Literal["maps", "gradients", "answers"]
    paper: str
    compute: Compute
    relu: bool = False
    class_agnostic: bool = False
    when_nan: str = ""


methods: Registry[Method] = Registry("method of explaining")


def enter(method: Method) -> None:
    """Put a method on the list."""
    methods.add(method.name)(method)
