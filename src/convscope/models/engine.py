"""An engine: the framework that holds networks, behind one contract; PyTorch is the one in the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.bundle import Bundle
from convscope.core.contracts import Predictor
from convscope.core.errors import unknown_name
from convscope.data.preparing.preprocess import Preprocess
from convscope.models.spec import ModelSpec
from convscope.models.summary import Summary

Network: TypeAlias = Any
"""Whatever an engine builds; nobody but the engine looks into it."""
Weights: TypeAlias = Mapping[str, NDArray[np.generic]]
"""Arrays by the names that the engine gives its parameters and its running statistics."""

DEFAULT_ENGINE = "torch"
"""The engine where nobody names one."""


class Engine(Protocol):
    """Builds networks of a framework, and lets them predict.

    `name` stands in configuration and bundle, and is the first part of the name of a run's folder: "torch".
    """

    name: str

    def build(self, spec: ModelSpec, model: object = None) -> Network:
        """The network of a spec with fresh weights.

        Args:
            spec: which network of the list, for which images C×H×W and how many classes K. Of a custom model,
                its name, input shape and classes.
            model: a custom model, as the engine knows them: for torch a module, a class of modules, or
                "FILE.py:CLASS".

        Raises:
            UserError: the engine does not have the network, or `model` is none of its own.
            ShapeError: images of this shape do not fit the network.
        """

    def load(self, network: Network, weights: Weights) -> None:
        """Put weights into a network, by name; UserError, in one line, where names or shapes do not fit."""

    def weights(self, network: Network) -> dict[str, NDArray[np.generic]]:
        """The weights of a network by name, as arrays that later training does not change."""

    def predictor(
        self, network: Network, preprocess: Preprocess, names: tuple[str, ...], *, device: str = "auto"
    ) -> Predictor:
        """The network as a Predictor for prepared images.

        Args:
            network: as `build` gives it.
            preprocess: the size, the channels and the statistics of prepared images.
            names: what each of the K outputs stands for.
            device: "auto", or a device that the engine knows, such as "cpu".

        Raises:
            UserError: there are not K names, or the device is not there.
        """

    def summarise(self, network: Network, input_shape: Sequence[int] | None = None) -> Summary:
        """The network layer by layer, for images C×H×W of `input_shape`, else for those it was built for.

        Raises ShapeError where they do not fit.
        """


# By module and attribute: looking up a name must not import a framework, which takes seconds.
_BUILT_IN = {"torch": "convscope.models.pytorch.engine:TORCH"}
_entered: dict[str, Engine] = {}


def enter_engine(engine: Engine) -> None:
    """Put an engine on the list, under its name; ValueError for a name that is taken."""
    if engine.name in engine_names():
        raise ValueError(f"engine {engine.name!r} is registered already")
    _entered[engine.name] = engine


def engine_names() -> list[str]:
    """The engines on the list; none is imported for it.

    >>> engine_names()
    ['torch']
    """
    return [*_BUILT_IN, *_entered]


def engine_named(name: str) -> Engine:
    """The engine `name`, imported now; an unknown name is a UserError that says the nearest right one."""
    if name in _entered:
        return _entered[name]  # of a plug-in or a test: it is imported already
    if name not in _BUILT_IN:
        raise unknown_name("engine", name, engine_names())
    module, _, attribute = _BUILT_IN[name].partition(":")
    engine: Engine = getattr(import_module(module), attribute)
    return engine


def open_network(bundle: Bundle, model: object = None) -> tuple[Engine, Network]:
    """The engine of a bundle, and its network with the weights of the bundle.

    Args:
        bundle: of a finished run.
        model: a custom model has to be given again, since no code ever comes out of a bundle.

    Raises:
        UserError: for an unknown engine, where `model` is missing, and where the weights do not fit it.
    """
    engine = engine_named(bundle.engine)
    # A 0.1.0 bundle says `field` for `receptive_field`; from_dict reads both.
    network = engine.build(ModelSpec.from_dict(bundle.model), model)
    engine.load(network, bundle.weights)
    return engine, network
