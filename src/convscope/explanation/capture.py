"""The maps of one layer, the logits, and the slope of a logit over the maps, from a single pass through any network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convscope.core.errors import UserError, unknown_name
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.shapes import at_rest


@dataclass(frozen=True, eq=False)
class Captured:
    """Of N images: `maps` N×C×h×w of a layer, `gradients` of the chosen logits over them, and `logits` N×K."""

    maps: Tensor
    gradients: Tensor
    logits: Tensor


def capture(network: nn.Module, x: Tensor, targets: Tensor, *, layer: str) -> Captured:
    """Send images N×C×H×W through; `targets` N are the classes whose logits the gradients belong to.

    Up to the layer nothing is remembered for a way back, which is most of the work and all of the memory. A layer that
    is called more than once counts with its last call. Evaluation mode; the network's own mode is put back.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    >>> found = capture(net, torch.ones(5, 1, 4, 4), torch.zeros(5, dtype=torch.long), layer="0")
    >>> found.maps.shape, found.gradients.shape, found.logits.shape
    (torch.Size([5, 2, 2, 2]), torch.Size([5, 2, 2, 2]), torch.Size([5, 3]))
    """
    kept: list[Tensor] = []

    def keep(_layer: nn.Module, _inputs: Any, output: Tensor) -> Tensor:
        torch.set_grad_enabled(True)  # `at_rest` took it away, and takes it away again for whoever called
        kept[:] = [checked_maps(output, layer).detach().requires_grad_()]
        return kept[0].clone()  # what comes next may write in place

    with at_rest(network), hooked(find_module(network, layer), keep):
        logits = network(x)
        if not kept:
            raise UserError(f"layer {layer!r} was not called for these images; name one that is")
        chosen = logits.gather(1, targets[:, None]).sum()
        (gradients,) = torch.autograd.grad(chosen, kept[0], allow_unused=True)
    gradients = torch.zeros_like(kept[0]) if gradients is None else gradients
    return Captured(kept[0].detach(), gradients, logits.detach())


def maps_of(network: nn.Module, x: Tensor, *, layer: str) -> tuple[Tensor, Tensor]:
    """The maps N×C×h×w of a layer and the logits N×K, without gradients."""
    kept: list[Tensor] = []

    def keep(_layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        kept[:] = [checked_maps(output, layer).clone()]

    with at_rest(network), hooked(find_module(network, layer), keep):
        logits = network(x)
    if not kept:
        raise UserError(f"layer {layer!r} was not called for these images; name one that is")
    return kept[0], logits


def logits_from(network: nn.Module, x: Tensor, maps: Tensor, *, layer: str) -> Tensor:
    """The logits N×K that images N×C×H×W would have, had the layer given `maps` N×C×h×w."""
    with at_rest(network), hooked(find_module(network, layer), lambda *_: maps.clone()):
        logits: Tensor = network(x)
    return logits


@contextmanager
def hooked(module: nn.Module, hook: Callable[..., Any]) -> Iterator[None]:
    """A forward hook for a while."""
    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def checked_maps(output: Any, layer: str) -> Tensor:
    """What a layer gave, if it is maps N×C×h×w; else a UserError."""
    if not isinstance(output, Tensor) or output.ndim != 4:
        what = f"numbers of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise UserError(f"layer {layer!r} gives {what}; class activation needs maps N×C×h×w: name an earlier layer")
    return output


def find_module(network: nn.Module, layer: str) -> nn.Module:
    """The module that a name means: a stage of a Network, or a dotted path; UserError names the nearest right one."""
    if isinstance(network, Network) and layer in network.stages:
        return network.stages[layer]
    modules: dict[str, nn.Module] = dict(network.named_modules())
    if not layer or layer not in modules:
        stages = list(network.stages) if isinstance(network, Network) else []
        raise unknown_name("layer", layer, [*stages, *(name for name in modules if name)])
    return modules[layer]


def find_layer(network: nn.Module, x: Tensor) -> str:
    """The layer to look at: the last whose maps, for images N×C×H×W, have more than one place.

    Of a Network that is one of its stages, the last before its head; of any other module, whatever gives such maps last
    before the answer. UserError where none does.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    >>> find_layer(net, torch.ones(1, 1, 8, 8))
    '1'
    """
    candidates = network.stages if isinstance(network, Network) else dict(network.named_modules())
    found: list[str] = []
    hooks = [module.register_forward_hook(_noting(name, found)) for name, module in candidates.items() if name]
    try:
        with at_rest(network):
            network(x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise UserError(
            f"no layer of {type(network).__name__} gives maps N×C×h×w with more than one place, so there is nothing to "
            "show on the image; use integrated_gradients or occlusion"
        )
    return found[-1]


def _noting(name: str, found: list[str]) -> Callable[..., None]:
    def note(_layer: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[2] * output.shape[3] > 1:
            found.append(name)

    return note
