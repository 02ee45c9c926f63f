"""`convscope.summary`: a network, by whatever a person names it, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convscope.core.bundle import Bundle
from convscope.core.errors import UserError
from convscope.models.engine import DEFAULT_ENGINE, engine_named, open_network
from convscope.models.references import is_custom_model
from convscope.models.spec import ModelSpec, check_shape
from convscope.models.summary import Summary
from convscope.models.variants.registry import variants

if TYPE_CHECKING:
    from torch import nn

CUSTOM_SHAPE, CUSTOM_CLASSES = (3, 32, 32), 10
"""What a custom model is asked for: it does not say which images and classes it was made for."""


def summary(
    model: str | Path | nn.Module,
    input_shape: Sequence[int] | None = None,
    *,
    classes: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Summary:
    """Output shape, parameters, MACs, stride and receptive field of every layer.

    Args:
        model: a name, "my_net.py:Net", a run folder or bundle, or an nn.Module.
        input_shape: (C, H, W); left out, what the network was designed or trained for, and 3×32×32 for a
            custom model.
        classes: K; left out, as the network was designed, and 10 for a custom model.
        options: those of a network on the list. A trained network has its classes and options already.

    Raises:
        UserError: for an unknown network or option.
        ShapeError: for an image that does not fit.

    >>> summary("small_cnn", (3, 32, 32)).parameters
    545194
    """
    if not isinstance(model, str | Path):
        return _custom(model, type(model).__name__, input_shape, classes, options)
    name = str(model)
    # FILE.py:CLASS is no path, and a FILE.py without a class is no bundle.
    if is_custom_model(name):
        return _custom(name, name.rpartition(":")[2], input_shape, classes, options)
    # A network of the list wins over a folder of that name, which ./NAME still reaches.
    if name not in variants and Path(name).exists():
        if classes is not None or options:
            raise UserError(
                f"{name} is trained: its classes and options are settled; leave classes and options out"
            )
        engine, network = open_network(Bundle.load(name))
        return engine.summarise(network, input_shape)
    engine = engine_named(DEFAULT_ENGINE)
    designed = variants[name].spec
    spec = designed.with_changes(input_shape=input_shape, classes=classes, options=options)
    return engine.summarise(engine.build(spec))


def _custom(
    model: object,
    name: str,
    input_shape: Sequence[int] | None,
    classes: int | None,
    options: Mapping[str, Any] | None,
) -> Summary:
    shape = CUSTOM_SHAPE if input_shape is None else check_shape(input_shape)
    count = CUSTOM_CLASSES if classes is None else classes
    engine = engine_named(DEFAULT_ENGINE)
    spec = ModelSpec(name, input_shape=shape, classes=count, options=options or {})
    return engine.summarise(engine.build(spec, model))
