"""The maps of one layer, the logits, and the gradient of a logit over the maps, from a single pass through
any network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from convscope.core.errors import UserError, unknown_name
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.shapes import eval_mode, format_shape


@dataclass(frozen=True, eq=False)
class Captured:
    """Of N images: `maps` N×C×h×w of a layer, `gradients` of the chosen logits over them, and `logits`
    N×K.
    """

    maps: Tensor
    gradients: Tensor
    logits: Tensor


def capture(network: nn.Module, x: Tensor, targets: Tensor, *, layer: str) -> Captured:
    """Send images N×C×H×W through; `targets` N are the classes whose logits the gradients belong to.

    Up to the layer nothing is remembered for a way back, which is most of the work and all of the memory. Of
    a layer that is called more than once the last call that gives maps counts. Evaluation mode; the network's
    own mode is put back. UserError where no gradient leads from the logits to the layer.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    >>> found = capture(net, torch.ones(5, 1, 4, 4), torch.zeros(5, dtype=torch.long), layer="0")
    >>> found.maps.shape, found.gradients.shape, found.logits.shape
    (torch.Size([5, 2, 2, 2]), torch.Size([5, 2, 2, 2]), torch.Size([5, 3]))
    """
    kept: list[Tensor] = []

    def keep(_call: int, maps: Tensor) -> Tensor:
        torch.set_grad_enabled(True)  # `eval_mode` took it away, and takes it away again for whoever called
        kept[:] = [maps.detach().requires_grad_()]
        return kept[0].clone()  # what comes next may write in place

    with eval_mode(network):
        logits = _answers(network, x, layer=layer, see=keep)
        chosen = logits.gather(1, targets[:, None]).sum()
        (gradient,) = (
            torch.autograd.grad(chosen, kept[0], allow_unused=True) if chosen.requires_grad else (None,)
        )
    if gradient is None:
        raise UserError(
            f"no gradient leads from the logits to layer {layer!r}: it is beside the way, or forward() "
            f"forbids "
            "gradients there; name another layer, or use score_cam or eigen_cam, which need none"
        )
    return Captured(kept[0].detach(), gradient, logits.detach())


def maps_of(network: nn.Module, x: Tensor, *, layer: str) -> tuple[Tensor, Tensor]:
    """The maps N×C×h×w of a layer and the logits N×K, without gradients."""
    kept: list[Tensor] = []

    def keep(_call: int, maps: Tensor) -> Tensor:
        kept[:] = [maps.clone()]
        return maps

    with eval_mode(network):
        logits = _answers(network, x, layer=layer, see=keep)
    return kept[0], logits


def logits_from(network: nn.Module, x: Tensor, maps: Tensor, *, layer: str) -> Tensor:
    """The logits N×K that images N×C×H×W would have, had the layer given `maps` N×C×h×w in the call that
    counts.
    """
    calls: list[int] = []

    def note(call: int, given: Tensor) -> Tensor:
        calls.append(call)
        return given

    def swap(call: int, given: Tensor) -> Tensor:
        return maps.clone() if call == calls[-1] else given

    with eval_mode(network):
        _answers(network, x[:1], layer=layer, see=note)
        return _answers(network, x, layer=layer, see=swap)


def _answers(network: nn.Module, x: Tensor, *, layer: str, see: Callable[[int, Tensor], Tensor]) -> Tensor:
    """The logits N×K, where `see` gets the maps of each call of the layer, counted from 1, and gives what
    goes on.
    """
    calls, gave = 0, ""

    def hook(_layer: nn.Module, _inputs: Any, output: Any) -> Tensor | None:
        nonlocal calls, gave
        if not _are_maps(output):
            gave = _described(output)
            return None
        calls += 1
        return see(calls, output)

    with _hooked({layer: find_module(network, layer)}, lambda _name: hook):
        logits = network(x)
    if not calls:
        remedy = (
            f"gives {gave}; class activation needs maps N×C×h×w"
            if gave
            else "was not called for these images"
        )
        raise UserError(f"layer {layer!r} {remedy}; name an earlier one")
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        raise UserError(
            f"{type(network).__name__} answers with {_described(logits)}; explaining needs logits N×K"
        )
    return logits


def find_module(network: nn.Module, layer: str) -> nn.Module:
    """The module that a name means: a stage of a Network, or a dotted path; UserError names the nearest right
    one.
    """
    stages = network.stages if isinstance(network, Network) else {}
    modules: dict[str, nn.Module] = {
        name: module for name, module in network.named_modules() if name
    } | stages
    if layer not in modules:
        raise unknown_name("layer", layer, modules)
    return modules[layer]


def find_layer(network: nn.Module, x: Tensor) -> str:
    """The layer to look at: the last whose maps, for images N×C×H×W, have more than one place.

    Of a Network that is one of its stages, the last before its head; of any other module, whatever gives such
    maps last before the answer. UserError where none does.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> find_layer(net, torch.ones(1, 1, 8, 8))
    '1'
    """
    modules = {name: module for name, module in network.named_modules() if name}
    for candidates in (network.stages, modules) if isinstance(network, Network) else (modules,):
        found: dict[str, None] = {}
        with eval_mode(network), _hooked(candidates, partial(_noting, found)):
            network(x[:1])
        if found:
            return list(found)[-1]
    raise UserError(
        f"no layer of {type(network).__name__} gives maps N×C×h×w with more than one place, so there is "
        f"nothing to "
        "show on the image; use integrated_gradients or occlusion"
    )


def _noting(found: dict[str, None], name: str) -> Callable[..., None]:
    """A hook that puts a name at the end of `found` where the maps have more than one place; its last call
    counts.
    """

    def note(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        if _are_maps(output):
            found.pop(name, None)
            if output.shape[2] * output.shape[3] > 1:
                found[name] = None

    return note


@contextmanager
def _hooked(modules: Mapping[str, nn.Module], make: Callable[[str], Callable[..., Any]]) -> Iterator[None]:
    """A forward hook on each module for a while, made by its name."""
    with ExitStack() as hooks:
        for name, module in modules.items():
            hooks.callback(module.register_forward_hook(make(name)).remove)
        yield


def _are_maps(output: Any) -> TypeGuard[Tensor]:
    return isinstance(output, Tensor) and output.ndim == 4


def _described(output: Any) -> str:
    return (
        f"numbers {format_shape(output.shape)}"
        if isinstance(output, Tensor)
        else f"a {type(output).__name__}"
    )
