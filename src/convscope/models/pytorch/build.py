"""A network from whatever a person names it by: a name from the list, a file with a class, or a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from convscope.core.bundle import Bundle
from convscope.core.errors import UserError
from convscope.models.pytorch.custom_model import (
    construct,
    is_custom_model,
    load_custom_model,
    wrap_custom_model,
)
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.zoo import create, networks


def build(
    model: str | nn.Module,
    *,
    input_shape: Sequence[int],
    classes: int,
    options: Mapping[str, Any] | None = None,
) -> Network:
    """The network that `model` means, for images C×H×W and K classes: a name, "my_net.py:Net", or an
    nn.Module.

    Only the networks on the list have `options`; UserError where others are given some.

    >>> build("small_cnn", input_shape=(1, 28, 28), classes=10).spec.name
    'small_cnn'
    """
    if isinstance(model, str) and not is_custom_model(model):
        return create(model, input_shape=input_shape, classes=classes, options=options)
    if options:
        raise UserError(
            f"model.options {sorted(options)} were given; only networks from `convscope summary` have options"
        )
    if isinstance(model, str):
        return load_custom_model(model, input_shape=input_shape, classes=classes)
    return wrap_custom_model(model, input_shape=input_shape, classes=classes)


def rebuild(bundle: Bundle, model: str | nn.Module | type[nn.Module] | None = None) -> Network:
    """The network of a bundle with its weights. A person's own network has to be given again as `model`.

    `model`: its class, a module, or "my_net.py:Net"; no code ever comes out of a bundle. Raises UserError
    where it is missing or its weights do not fit.
    """
    spec = bundle.model
    shape, classes, name = spec["input_shape"], spec["classes"], spec["name"]
    if model is None and name not in networks:
        where = f" (trained from {spec['source']})" if spec.get("source") else ""
        raise UserError(
            f"the bundle holds weights of your own network {name}{where} and no code; "
            f"give it: load(run, model={name}) or --model my_net.py:{name}"
        )
    if model is None:
        network = create(
            name, input_shape=shape, classes=classes, options=spec["options"], head=spec.get("head", "own")
        )
    elif isinstance(model, type):
        network = build(
            construct(model, name, input_shape=shape, classes=classes), input_shape=shape, classes=classes
        )
    else:
        network = build(model, input_shape=shape, classes=classes)
    return _with_weights(network, bundle)


def _with_weights(network: Network, bundle: Bundle) -> Network:
    import torch

    weights = {key: torch.from_numpy(value) for key, value in bundle.weights.items()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"the bundle's weights do not fit {network.spec.name}: {reason}") from None
    return network.eval()
