"""Hooks: the feature maps that layers give while a network computes, and what goes on in their place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from convscope.core.errors import UserError, unknown_name
from convscope.models.pytorch.hooks import are_maps, eval_mode, forward_hooks
from convscope.models.pytorch.network import Network
from convscope.models.spec_text import format_shape


@dataclass(frozen=True, eq=False)
class Watched:
    """What layers gave: feature maps N×D×h×w in the order of the calls; of `others` what it was, in words."""

    feature_maps: dict[str, Tensor] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)

    def require(self, network: nn.Module, layers: Iterable[str]) -> dict[str, Tensor]:
        """The feature maps; UserError where no layer gave any."""
        if not self.feature_maps:
            raise UserError(_no_feature_maps(network, list(layers), self.others))
        return self.feature_maps


@dataclass(frozen=True, eq=False)
class Captured:
    """Of N images: `feature_maps` N×D×h×w of a layer, `gradients` of the chosen logits, `logits` N×K."""

    feature_maps: Tensor
    gradients: Tensor
    logits: Tensor


def stage_names(network: nn.Module) -> list[str]:
    """The names of the stages of a Network, of the children of any other module.

    >>> stage_names(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
    ['0', '1']
    """
    if isinstance(network, Network):
        return list(network.stages)
    return [name for name, _ in network.named_children()]


def find_module(network: nn.Module, layer: str) -> nn.Module:
    """The module that `layer` names: a stage of a Network, or a dotted path; else a UserError."""
    # Last, so that a stage goes before a module of the same path.
    stages = network.stages if isinstance(network, Network) else {}
    modules: dict[str, nn.Module] = {name: each for name, each in network.named_modules() if name} | stages
    if layer not in modules:
        raise unknown_name("layer", layer, modules)
    return modules[layer]


@contextmanager
def watching(network: nn.Module, layers: Iterable[str]) -> Iterator[Watched]:
    """While it is active, keeps what each layer gave in its last call; gradients flow where they are on.

    Args:
        network: any module.
        layers: names of stages or dotted paths; UserError for one that is not there.

    Yields:
        What is kept; a layer that is not called is not in it.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    >>> with watching(net, ["0", "1"]) as watched:
    ...     logits = net(torch.zeros(1, 1, 4, 4))
    >>> {name: tuple(each.shape) for name, each in watched.feature_maps.items()}, watched.others
    ({'0': (1, 2, 2, 2)}, {'1': 'numbers 1×8'})
    """
    watched = Watched()

    def keep(layer: str, output: Any) -> Tensor | None:
        if not are_maps(output):
            watched.others[layer] = _described(output)
            return None
        watched.feature_maps.pop(layer, None)  # a later call takes the later place in the order
        watched.feature_maps[layer] = output
        return output.clone()  # the next layer may write in place

    with forward_hooks({layer: find_module(network, layer) for layer in layers}, keep):
        yield watched


def capture(network: nn.Module, x: Tensor, targets: Tensor, *, layer: str) -> Captured:
    """Feature maps of a layer, the logits, and the gradients between them, from a single pass.

    Up to the layer no graph is kept, which is most of the work and all of the memory.

    Args:
        network: any module; it computes in evaluation mode, and its own mode is put back.
        x: images, N×C×H×W.
        targets: the class of each image whose logit the gradients belong to, N.
        layer: a stage or a dotted path. Where it is called more than once the last call counts.

    Returns:
        Tensors without a graph.

    Raises:
        UserError: the layer gives no feature maps, or no gradient leads from the logits to it.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    >>> found = capture(net, torch.ones(5, 1, 4, 4), torch.zeros(5, dtype=torch.long), layer="0")
    >>> found.feature_maps.shape, found.gradients.shape, found.logits.shape
    (torch.Size([5, 2, 2, 2]), torch.Size([5, 2, 2, 2]), torch.Size([5, 3]))
    """
    kept: list[Tensor] = []

    def keep(_call: int, feature_maps: Tensor) -> Tensor:
        torch.set_grad_enabled(True)  # `eval_mode` switched it off, and restores what the caller had
        kept[:] = [feature_maps.detach().requires_grad_()]
        return kept[0].clone()  # the next layer may write in place

    with eval_mode(network):
        logits = _logits(network, x, layer=layer, see=keep)
        # Images do not touch one another in evaluation mode, so the sum has the gradient of each.
        chosen = logits.gather(1, targets[:, None]).sum()
        gradient = None
        if chosen.requires_grad:
            (gradient,) = torch.autograd.grad(chosen, kept[0], allow_unused=True)
    if gradient is None:
        raise UserError(
            f"no gradient leads from the logits to layer {layer!r}: it is beside the way, or forward() "
            "forbids gradients there; name another layer, or use score_cam or eigen_cam, which need none"
        )
    return Captured(kept[0].detach(), gradient, logits.detach())


def feature_maps_of(network: nn.Module, x: Tensor, layers: Iterable[str]) -> tuple[dict[str, Tensor], Tensor]:
    """The feature maps N×D×h×w of each layer and the logits N×K for images N×C×H×W, without gradients."""
    names = list(layers)
    with eval_mode(network), watching(network, names) as watched:
        logits = checked_logits(network, network(x))
    return watched.require(network, names), logits


def logits_from(network: nn.Module, x: Tensor, feature_maps: Tensor, *, layer: str) -> Tensor:
    """The logits N×K for images N×C×H×W, had the layer given `feature_maps` N×D×h×w in its last call."""
    calls: list[int] = []

    def note(call: int, own: Tensor) -> Tensor:
        calls.append(call)
        return own

    def swap(call: int, own: Tensor) -> Tensor:
        return feature_maps.clone() if call == calls[-1] else own

    with eval_mode(network):
        # One image tells how often the layer is called; only its last call is replaced.
        _logits(network, x[:1], layer=layer, see=note)
        return _logits(network, x, layer=layer, see=swap)


def checked_logits(network: nn.Module, logits: object) -> Tensor:
    """What a network returned; UserError unless it is N×K."""
    if not isinstance(logits, Tensor) or logits.ndim != 2:
        kind = type(network).__name__
        raise UserError(f"{kind} gives {_described(logits)}; explaining needs logits N×K")
    return logits


def _logits(network: nn.Module, x: Tensor, *, layer: str, see: Callable[[int, Tensor], Tensor]) -> Tensor:
    """The logits N×K; `see` gets the number of each call of the layer, from 1, and its feature maps."""
    calls, other = 0, dict[str, str]()

    def hook(_layer: str, output: Any) -> Tensor | None:
        nonlocal calls
        if not are_maps(output):
            other[layer] = _described(output)
            return None
        calls += 1
        return see(calls, output)

    with forward_hooks({layer: find_module(network, layer)}, hook):
        logits = network(x)
    if not calls:
        raise UserError(_no_feature_maps(network, [layer], other))
    return checked_logits(network, logits)


def _no_feature_maps(network: nn.Module, layers: list[str], others: dict[str, str]) -> str:
    if len(layers) == 1:
        gave = others.get(layers[0])
        what = f"gives {gave} and no feature maps N×D×h×w" if gave else "was not called for these images"
        return f"layer {layers[0]!r} {what}; name an earlier one"
    shown = ", ".join(layers[:6]) or "it has no layers"
    return (
        f"no layer of {type(network).__name__} that was asked gives feature maps N×D×h×w ({shown}), so there "
        "is nothing to show; name a convolution, as `convscope summary` lists them"
    )


def _described(output: Any) -> str:
    if isinstance(output, Tensor):
        return f"numbers {format_shape(output.shape)}"
    return f"a {type(output).__name__}"
