"""One unit of a network: a map of a layer, or the logit of a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from convscope.core.errors import UserError, nearest
from convscope.explanation.feature_visualisation.activations import stage_names, watching
from convscope.explanation.pytorch.capture import find_module


@dataclass(frozen=True)
class Unit:
    """Map `index` of `layer`, or, where that is None, the logit of class `index`; `title` is for people."""

    layer: str | None
    index: int
    title: str


def class_units(classes: Sequence[str]) -> list[Unit]:
    """The logits of all classes."""
    return [Unit(None, index, name) for index, name in enumerate(classes)]


def find_unit(text: str, network: nn.Module, classes: Sequence[str]) -> Unit:
    """The unit that a person means: the name of a class, in any case, or LAYER:NUMBER; else a UserError.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3))
    >>> find_unit("dog", net, ["Cat", "Dog"])
    Unit(layer=None, index=1, title='Dog')
    >>> find_unit("0:1", net, ["Cat", "Dog"])
    Unit(layer='0', index=1, title='map 1 of 0')
    """
    same = [k for k, name in enumerate(classes) if name == text] or [
        k for k, name in enumerate(classes) if name.casefold() == text.casefold()
    ]
    if same:
        return Unit(None, same[0], classes[same[0]])
    layer, colon, number = text.rpartition(":")
    if colon and number.isdecimal():
        find_module(network, layer)
        return Unit(layer, int(number), f"map {int(number)} of {layer}")
    guess = nearest(text, classes)
    hint = f"did you mean {guess!r}? " if guess else ""
    stage = next(reversed(stage_names(network)), "LAYER")
    raise UserError(
        f"there is no unit {text!r}; {hint}give the name of a class ({', '.join(list(classes)[:6])}"
        f"{', …' if len(classes) > 6 else ''}) or a map as LAYER:NUMBER, such as {stage}:0"
    )


def activations(network: nn.Module, x: Tensor, units: Sequence[Unit]) -> list[Tensor]:
    """What each unit gives for images N×C×H×W: a map N×h×w, of a logit N×1×1. Gradients flow where they are
    on.

    UserError where a layer gives no maps or has fewer of them.
    """
    layers = dict.fromkeys(unit.layer for unit in units if unit.layer is not None)
    with watching(network, layers) as maps:
        logits: Tensor = network(x)
    return [_of_one(unit, maps, logits) for unit in units]


def _of_one(unit: Unit, maps: dict[str, Tensor], logits: Tensor) -> Tensor:
    if unit.layer is None:
        return logits[:, unit.index, None, None]
    if unit.layer not in maps:
        raise UserError(f"layer {unit.layer!r} gives no maps N×C×h×w for these images; name an earlier layer")
    count = maps[unit.layer].shape[1]
    if unit.index >= count:
        raise UserError(
            f"layer {unit.layer!r} has {count} maps and no map {unit.index}; give 0 to {count - 1}"
        )
    return maps[unit.layer][:, unit.index]
