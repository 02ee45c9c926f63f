"""The verb: a network, by whatever a person names it, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from convscope.core.bundle import Bundle
from convscope.core.errors import UserError
from convscope.models.pytorch.build import build, rebuild
from convscope.models.pytorch.custom_model import is_custom_model
from convscope.models.pytorch.summary import Summary, summarise
from convscope.models.pytorch.zoo import create, networks

OWN = (3, 32, 32)  # what a network is shown that does not say what it was made for


def summary(
    model: str | Path | nn.Module,
    input_shape: Sequence[int] | None = None,
    *,
    classes: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> Summary:
    """Output shape, parameters, MACs, stride and receptive field of every layer.

    `model`: a name, "my_net.py:Net", a run folder or bundle, or an nn.Module. `input_shape`: (C, H, W); left
    out, what the network was designed or trained for, and 3×32×32 for a network of one's own. `classes`: K;
    left out, as it was designed, and 10 for one's own. `options`: those of a network on the list. What was
    trained has its classes and options already.

    Raises UserError for an unknown network or option and ShapeError for an image that does not fit.

    >>> summary("small_cnn", (3, 32, 32)).parameters
    545194
    """
    own_count = 10 if classes is None else classes
    if isinstance(model, nn.Module):
        return summarise(build(model, input_shape=input_shape or OWN, classes=own_count, options=options))
    name = str(model)
    if name not in networks and not is_custom_model(name) and Path(name).exists():
        if classes is not None or options:
            raise UserError(
                f"{name} is trained: its classes and options are settled; leave classes and options out"
            )
        return summarise(rebuild(Bundle.load(name)), input_shape)
    if name in networks:
        return summarise(create(name, input_shape=input_shape, classes=classes, options=options))
    return summarise(build(name, input_shape=input_shape or OWN, classes=own_count, options=options))
