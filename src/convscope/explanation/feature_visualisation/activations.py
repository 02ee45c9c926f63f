"""The maps that named layers give while a network answers, with or without a way back for gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from torch import Tensor, nn

from convscope.core.errors import UserError
from convscope.explanation.pytorch.capture import find_module
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.shapes import eval_mode


def stage_names(network: nn.Module) -> list[str]:
    """The names of what is shown unless a layer is named: the stages of a Network, the children of any other
    module.

    >>> stage_names(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()))
    ['0', '1']
    """
    return (
        list(network.stages)
        if isinstance(network, Network)
        else [name for name, _ in network.named_children()]
    )


@contextmanager
def watching(network: nn.Module, layers: Iterable[str]) -> Iterator[dict[str, Tensor]]:
    """While it is active, the dictionary holds what each layer gave last, N×C×h×w, in the order of the calls.

    A layer that gives something else than maps, or is not called, is not in it.

    >>> import torch
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    >>> with watching(net, ["0", "1"]) as maps:
    ...     answer = net(torch.zeros(1, 1, 4, 4))
    >>> {name: tuple(each.shape) for name, each in maps.items()}
    {'0': (1, 2, 2, 2)}
    """
    maps: dict[str, Tensor] = {}
    with ExitStack() as hooks:
        for layer in layers:
            handle = find_module(network, layer).register_forward_hook(_noting(layer, maps))
            hooks.callback(handle.remove)
        yield maps


def stage_maps(network: nn.Module, x: Tensor, layers: Iterable[str] | None = None) -> dict[str, Tensor]:
    """The maps N×C×h×w that layers, else the stages, give for images N×C×H×W, without gradients.

    UserError where there are none.
    """
    names = stage_names(network) if layers is None else list(layers)
    with eval_mode(network), watching(network, names) as maps:
        network(x)
    if not maps:
        raise UserError(no_maps(network, names))
    return maps


def no_maps(network: nn.Module, names: Iterable[str]) -> str:
    """The line for a person whose layers give no maps."""
    shown = ", ".join(list(names)[:6]) or "it has no layers"
    return (
        f"no layer of {type(network).__name__} that was asked gives maps N×C×h×w ({shown}), so there is "
        f"nothing to "
        "show; name a convolution with --unit, as `convscope summary` lists them"
    )


def _noting(layer: str, maps: dict[str, Tensor]) -> Callable[..., Tensor | None]:
    def note(_module: nn.Module, _inputs: Any, output: Any) -> Tensor | None:
        if not isinstance(output, Tensor) or output.ndim != 4:
            return None
        maps.pop(layer, None)
        maps[layer] = output
        return output.clone()  # what comes next may write in place

    return note
