"""Weights from elsewhere into a network, by name, with a report of every name that did not fit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from convscope.models.pretrained import LoadReport

Renames: TypeAlias = Sequence[tuple[str, str]]
"""Pairs (pattern, replacement) of regular expressions, applied to a name one after the other."""
KeyMaps: TypeAlias = Mapping[str, Renames]
"""By the program that the names come from."""

WRAPPER = r"^module\."  # what DataParallel puts before every name
# How many batches a batch norm has seen: older files lack it, and nothing reads it.
COUNTERS = "num_batches_tracked"


def load_weights(
    network: nn.Module, tensors: Mapping[str, Tensor], key_maps: KeyMaps | None = None
) -> LoadReport:
    """Put `tensors` into `network` wherever name and shape fit, and report what did not.

    The names are tried as the network's own and under each key map; the key map under which most tensors fit
    is taken. The order of the tensors changes nothing, and the `module.` that DataParallel puts before each
    name does not count.

    A 1×1 convolution and a linear layer hold the same numbers, so either may stand for the other. A first
    layer for three colours fits one that takes grey: its kernels are added up over the colours, which gives
    the same maps as feeding it the grey image three times.

    Args:
        network: changed in place.
        tensors: by name, on the CPU, of any number type; they are converted to the network's.
        key_maps: from the names of other programs to the network's, by program.

    >>> one, two = nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2))
    >>> load_weights(two, one.state_dict(), {"plain": (("^", "0."),)}).whole
    True
    """
    targets = _without_counters(network.state_dict())
    tensors = _without_counters(tensors)
    key_map, sources = _best_key_map(tensors, targets, key_maps or {})
    fitted = {name: _fit(tensors[source], targets[name]) for name, source in sources.items()}
    with torch.no_grad():
        for name, (value, _) in fitted.items():
            if value is not None:
                targets[name].copy_(value)
    reshaped = [name for name, (value, _) in fitted.items() if value is None]
    adapted = tuple(name for name, (_, summed) in fitted.items() if summed)
    return LoadReport(
        key_map=key_map,
        loaded=_without(fitted, (*reshaped, *adapted)),
        adapted=adapted,
        missing=_without(targets, sources),
        unexpected=_without(sorted(tensors), sources.values()),
        reshaped=tuple((name, _shape(tensors[sources[name]]), _shape(targets[name])) for name in reshaped),
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
    """Renames for layers `sequence.0`, `sequence.1`, … of a program that are in stages here.

    Args:
        sequence: what the program calls its row of layers.
        lengths: how many of the layers each stage takes, in order, with those that have no weights.

    >>> [name for _, name in cut("features", {"stem": 2, "stage1": 1})]
    ['body.stem.0.', 'body.stem.1.', 'body.stage1.0.']
    """
    names = [f"body.{stage}.{i}." for stage, length in lengths.items() for i in range(length)]
    return tuple((rf"^{sequence}\.{index}\.", name) for index, name in enumerate(names))


def _without(names: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    left_out = set(others)
    return tuple(name for name in names if name not in left_out)


def _without_counters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in tensors.items() if not name.endswith(COUNTERS)}


def _best_key_map(
    tensors: Mapping[str, Tensor], targets: Mapping[str, Tensor], key_maps: KeyMaps
) -> tuple[str, dict[str, str]]:
    """The key map under which most tensors fit, the network's own names first, and the sources under it."""
    # A network that was itself wrapped keeps its `module.`.
    unwrap = () if any(re.match(WRAPPER, name) for name in targets) else ((WRAPPER, ""),)
    sources = {
        key_map: _sources(tensors, targets, (*unwrap, *renames))
        for key_map, renames in {"convscope": (), **key_maps}.items()
    }
    best = max(sources, key=lambda key_map: _count_fitting(sources[key_map], tensors, targets))
    return best, sources[best]


def _sources(tensors: Iterable[str], targets: Iterable[str], renames: Renames) -> dict[str, str]:
    """By target, in the targets' order, the tensor that fills it; of two tensors for one target the first."""
    by_target: dict[str, str] = {}
    # Sorted, so that the order of a dictionary decides nothing.
    for name in sorted(tensors):
        by_target.setdefault(renamed(name, renames), name)
    return {target: by_target[target] for target in targets if target in by_target}


def _count_fitting(
    sources: Mapping[str, str], tensors: Mapping[str, Tensor], targets: Mapping[str, Tensor]
) -> int:
    return sum(_fit(tensors[source], targets[name])[0] is not None for name, source in sources.items())


def _fit(value: Tensor, target: Tensor) -> tuple[Tensor | None, bool]:
    """`value` in the shape of `target`, or None; and whether colours were added up for it."""
    # A linear layer's K×C against a 1×1 convolution's K×C×1×1.
    if _trimmed(value.shape) == _trimmed(target.shape):
        return value.reshape(target.shape), False
    if value.ndim == 4 and value.shape[1] == 3 and target.shape == (len(value), 1, *value.shape[2:]):
        return value.sum(dim=1, keepdim=True), True
    return None, False


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _trimmed(shape: Sequence[int]) -> tuple[int, ...]:
    """`shape` without the ones at its end: what a linear layer and a 1×1 convolution have in common."""
    end = max((axis for axis, size in enumerate(shape, start=1) if size != 1), default=0)
    return tuple(shape[:end])
