"""Look into a module while it runs: modes and hooks for a while, maps of layers, and all calls in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Run `module` without gradients and in evaluation mode, and put every layer's mode back afterwards."""
    # Module by module: a frozen batch norm inside a network in training must stay frozen.
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for m, mode in modes:
            m.training = mode


def are_maps(output: object) -> TypeGuard[Tensor]:
    """Is it what a convolution gives, a tensor N×C×h×w?"""
    return isinstance(output, Tensor) and output.ndim == 4


@contextmanager
def forward_hooks(modules: Mapping[str, nn.Module], hook: Callable[[str, Any], Any]) -> Iterator[None]:
    """While it is active, `hook(name, output)` is called after each call of a module.

    Args:
        modules: what to watch, by the names that the hook gets.
        hook: sees what a module gave; what it returns goes on in its place, unless that is None.

    >>> shapes = []
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    >>> with forward_hooks({"0": net[0], "1": net[1]}, lambda name, y: shapes.append((name, y.ndim))):
    ...     _ = net(torch.zeros(1, 1, 4, 4))
    >>> shapes
    [('0', 4), ('1', 2)]
    """

    def watcher(name: str) -> Callable[..., Any]:
        return lambda _module, _inputs, output: hook(name, output)

    with ExitStack() as hooks:
        for name, module in modules.items():
            hooks.callback(module.register_forward_hook(watcher(name)).remove)
        yield


@contextmanager
def layer_maps(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """While it is active, the dictionary holds the maps N×C×h×w each module gave last, in calling order.

    A module that gives something else than maps, or is not called, is not in it.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    >>> with layer_maps(dict(net.named_children())) as maps:
    ...     _ = net(torch.zeros(1, 1, 4, 4))
    >>> {name: tuple(each.shape) for name, each in maps.items()}
    {'0': (1, 2, 2, 2)}
    """
    maps: dict[str, Tensor] = {}

    def keep(name: str, output: Any) -> Tensor | None:
        if not are_maps(output):
            return None
        maps.pop(name, None)  # a later call takes the later place in the order
        maps[name] = output
        return output.clone()  # the next layer may write in place

    with forward_hooks(modules, keep):
        yield maps


@dataclass
class LayerCall:
    """A call of a layer: its dotted name, the shape that it got, and what it gave (None where it failed)."""

    name: str
    layer: nn.Module
    received: tuple[int, ...]
    gave: Tensor | None = None


def trace(module: nn.Module, image: Tensor) -> tuple[list[LayerCall], Exception | None]:
    """The calls of layers that `image` 1×C×H×W leads to, in order, and what stopped it, if anything did.

    Only layers without layers of their own are listed: Conv2d, Linear, and so on.

    Args:
        module: run in evaluation mode and without gradients; its own mode is put back.
        image: float 1×C×H×W, on the module's device.

    Returns:
        The calls, the last one without an output where it failed, and the exception or None.

    >>> calls, problem = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), torch.zeros(1, 3, 5, 5))
    >>> [(call.name, call.received) for call in calls], problem
    ([('0', (1, 3, 5, 5)), ('1', (1, 4, 3, 3))], None)
    """
    calls: list[LayerCall] = []
    # A module that stands in two places has one name, the first, and one hook.
    leaves = {name: layer for name, layer in module.named_modules() if next(layer.children(), None) is None}

    def before(name: str) -> Callable[..., None]:
        def begin(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
            shapes = [tuple(i.shape) for i in inputs if isinstance(i, Tensor)]
            calls.append(LayerCall(name, layer, shapes[0] if shapes else ()))

        return begin

    def after(name: str, output: Any) -> None:
        if isinstance(output, Tensor):
            next(call for call in reversed(calls) if call.name == name).gave = output

    with ExitStack() as hooks, eval_mode(module), forward_hooks(leaves, after):
        for name, layer in leaves.items():
            hooks.callback(layer.register_forward_pre_hook(before(name)).remove)
        try:
            module(image)
        except Exception as problem:  # a person's own layer may raise anything, and that is to be explained
            return calls, problem
    return calls, None
