"""Weights from elsewhere into a network, by name, with a report of every name that did not fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from convscope.models.pytorch.shapes import format_shape

Renames: TypeAlias = Sequence[tuple[str, str]]
"""Pairs (pattern, replacement) of regular expressions, applied to a name one after the other."""
KeyMaps: TypeAlias = Mapping[str, Renames]
"""By the program that the names come from."""

WRAPPER = r"^module\."  # what DataParallel puts before every name
COUNTERS = (
    "num_batches_tracked"  # how many batches a batch norm has seen; older files lack it and nothing reads it
)


@dataclass(frozen=True)
class LoadReport:
    """How weights fitted, by the network's own names where it has them and by those given where it has not.

    `layout`: the program whose names they are. `loaded` went in as they are, `adapted` after the colours of a
    first layer were added up. `missing`: what the network has and nobody gave; `unexpected`: what was given
    and has no place; `reshaped`: (name, shape given, shape needed), left as they were in the network.
    """

    layout: str
    loaded: tuple[str, ...]
    adapted: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    @property
    def whole(self) -> bool:
        """Did every weight of the network get a value, and was none left over?"""
        return not (self.missing or self.unexpected or self.reshaped)

    def missing_below(self, prefix: str) -> tuple[str, ...]:
        """The names below `prefix` that got no value, because nobody gave it or because the shape was
        another.

        >>> LoadReport("own", ("body.a",), (), ("head.b",), (), (("body.c", (1,), (2,)),)).missing_below("body.")
        ('body.c',)
        """
        return tuple(
            name for name in (*self.missing, *(r[0] for r in self.reshaped)) if name.startswith(prefix)
        )

    def __str__(self) -> str:
        parts = [f"{len(self.loaded) + len(self.adapted)} tensors loaded ({self.layout} names)"]
        parts += [f"{name}: colours added up" for name in self.adapted]
        for what, names in (("missing", self.missing), ("unexpected", self.unexpected)):
            if names:
                parts.append(f"{what}: {shorten(names)}")
        if self.reshaped:
            parts.append(
                "reshaped: "
                + shorten([f"{n} is {format_shape(a)}, needs {format_shape(b)}" for n, a, b in self.reshaped])
            )
        return "; ".join(parts)


def load_weights(
    network: nn.Module, tensors: Mapping[str, Tensor], key_maps: KeyMaps | None = None
) -> LoadReport:
    """Put `tensors` into `network` wherever name and shape fit, and say what did not.

    Names are read as the network's own and as those of each layout; the reading under which most tensors fit
    is taken. Their order changes nothing, and the `module.` that DataParallel puts before each name does not
    count.

    A 1×1 convolution and a linear layer hold the same numbers, so either may stand for the other. A first
    layer for three colours fits one that takes grey: its kernels are added up over the colours, which gives
    the same maps as feeding it the grey image three times.

    >>> one, two = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2))
    >>> load_weights(two, one.state_dict(), {"plain": (("^", "0."),)}).whole
    True
    """
    places = {name: place for name, place in network.state_dict().items() if not name.endswith(COUNTERS)}
    given = {name: value for name, value in tensors.items() if not name.endswith(COUNTERS)}
    unwrap = () if any(re.match(WRAPPER, name) for name in places) else ((WRAPPER, ""),)
    readings = {
        layout: _sources(given, places, (*unwrap, *renames))
        for layout, renames in {"convscope": (), **(key_maps or {})}.items()
    }
    layout = max(readings, key=lambda layout: _fitting(readings[layout], given, places))
    sources = readings[layout]
    loaded: list[str] = []
    adapted: list[str] = []
    reshaped: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []
    with torch.no_grad():
        for name, source in sources.items():
            fitted, summed = _fitted(given[source], places[name])
            if fitted is None:
                reshaped.append((name, tuple(given[source].shape), tuple(places[name].shape)))
                continue
            places[name].copy_(fitted)
            (adapted if summed else loaded).append(name)
    return LoadReport(
        layout=layout,
        loaded=tuple(loaded),
        adapted=tuple(adapted),
        missing=tuple(name for name in places if name not in sources),
        unexpected=tuple(sorted(given.keys() - sources.values())),
        reshaped=tuple(reshaped),
    )


def renamed(name: str, renames: Renames) -> str:
    """The name after every rename, one after the other.

    >>> renamed("module.conv1.bias", ((WRAPPER, ""), (r"^conv1", "body.stem.0")))
    'body.stem.0.bias'
    """
    for pattern, replacement in renames:
        name = re.sub(pattern, replacement, name)
    return name


def cut(sequence: str, lengths: Mapping[str, int]) -> Renames:
    """Renames for layers `sequence.0`, `sequence.1`, … that stand in one row elsewhere, and in stages of
    ours.

    `lengths`: how many of the layers each stage takes, in order, with those that have no weights.

    >>> [place for _, place in cut("features", {"stem": 2, "stage1": 1})]
    ['body.stem.0.', 'body.stem.1.', 'body.stage1.0.']
    """
    places = [f"body.{stage}.{i}." for stage, length in lengths.items() for i in range(length)]
    return tuple((rf"^{sequence}\.{index}\.", place) for index, place in enumerate(places))


def shorten(names: Sequence[str], limit: int = 4) -> str:
    """The first few names, and how many more there are.

    >>> shorten(["a", "b", "c", "d", "e", "f"])
    'a, b, c, d and 2 more'
    """
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def _sources(given: Iterable[str], places: Iterable[str], renames: Renames) -> dict[str, str]:
    """For each place that gets a value, in the places' order, whose; of two given names for one place the
    first.
    """
    found: dict[str, str] = {}
    for source in sorted(given):
        found.setdefault(renamed(source, renames), source)
    return {place: found[place] for place in places if place in found}


def _fitting(sources: Mapping[str, str], given: Mapping[str, Tensor], places: Mapping[str, Tensor]) -> int:
    return sum(_fitted(given[source], places[name])[0] is not None for name, source in sources.items())


def _fitted(value: Tensor, place: Tensor) -> tuple[Tensor | None, bool]:
    """`value` in the shape of `place`, or None; and whether colours were added up for it."""
    if _trimmed(value.shape) == _trimmed(place.shape):
        return value.reshape(place.shape), False
    if (
        value.ndim == 4
        and (value.shape[1], place.shape[1:2]) == (3, (1,))
        and value.shape[2:] == place.shape[2:]
    ):
        summed = value.sum(dim=1, keepdim=True)
        return (summed, True) if summed.shape == place.shape else (None, False)
    return None, False


def _trimmed(shape: Sequence[int]) -> tuple[int, ...]:
    """`shape` without the ones at its end: what a linear layer and a 1×1 convolution have in common."""
    end = max((axis for axis, size in enumerate(shape, start=1) if size != 1), default=0)
    return tuple(shape[:end])
