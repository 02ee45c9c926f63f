"""Named experiments, each a file whose docstring promises command, minutes, hardware and score."""

from __future__ import annotations

from dataclasses import dataclass

from convscope.core.config import RunConfig
from convscope.core.registry import Registry
from convscope.recipes import cifar10_small_cnn, fashion_mnist_small_cnn


@dataclass(frozen=True)
class Recipe:
    """A configuration with the promise it comes with."""

    config: RunConfig
    promise: str


recipes: Registry[Recipe] = Registry("recipe")
for _module in (fashion_mnist_small_cnn, cifar10_small_cnn):
    # A file is the recipe of its name.
    recipes.add(_module.__name__.rpartition(".")[2])(Recipe(_module.CONFIG, _module.__doc__ or ""))
