"""From a run folder or a bundle to a network that takes images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from convscope.core.bundle import Bundle
from convscope.core.contracts import Predictor
from convscope.core.registry import Registry
from convscope.data.preparing.preprocess import Preprocess
from convscope.inference.classifier import Classifier, ImagePredictor
from convscope.models.engine import open_network

if TYPE_CHECKING:
    from torch import nn

# A string: for the type alone torch would be imported, which takes a second.
Model: TypeAlias = "str | nn.Module | type[nn.Module] | None"
Opener: TypeAlias = Callable[[Bundle, Preprocess, Model, str], Predictor]
"""Called with a bundle, its preprocessing, a custom model and a device; UserError where they do not fit."""

openers: Registry[Opener] = Registry("form of a bundle")
"""What opens the weights of a bundle, by its form. Those that an engine saved itself need no entry."""
PREDICTORS: dict[str, type[ImagePredictor]] = {"classification": Classifier}
"""What a task makes of outputs; an ImagePredictor for those that are not here."""


def load(run: str | Path, model: Model = None, *, device: str = "auto") -> Classifier:
    """The trained network of a run, ready for paths, PIL images and arrays.

    Args:
        run: a run folder or a bundle file.
        model: a custom model needs it, since no code comes out of a bundle: its class, a module or
            "my_net.py:Net".
        device: auto, cpu, cuda or mps.

    Returns:
        A Classifier; of another task than classification an ImagePredictor, which has `outputs` and no
        `classify`.

    Raises:
        UserError: there is no bundle, it is damaged or of a newer format, or does not fit `model`.

    >>> net = load("artifacts/torch_small_cnn_fashion_mnist")  # doctest: +SKIP
    >>> net.classify("shirt.png")[0].label  # doctest: +SKIP
    'Shirt'
    """
    # A cast, so that the usual case needs no check of a type; other tasks give the base class.
    return cast("Classifier", predictor_of(Bundle.load(run), model, device=device))


def predictor_of(bundle: Bundle, model: Model = None, *, device: str = "auto") -> ImagePredictor:
    """The network of a bundle in memory; the other arguments and the errors are those of `load`."""
    preprocess = Preprocess.from_dict(bundle.preprocess)
    # A form of its own, such as a graph for another runtime, comes before the engine that trained it.
    opener = openers[bundle.form] if bundle.form in openers else _open_weights  # noqa: SIM401 (no mapping)
    predictor = opener(bundle, preprocess, model, device)
    return PREDICTORS.get(bundle.task, ImagePredictor)(predictor, preprocess, bundle.decision)


def _open_weights(bundle: Bundle, preprocess: Preprocess, model: Model, device: str) -> Predictor:
    engine, network = open_network(bundle, model)
    return engine.predictor(network, preprocess, bundle.classes, device=device)
