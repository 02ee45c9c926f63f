"""Follow an image through a network layer by layer: to size a head, and to explain a shape that does not
fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from convscope.core.errors import ShapeError


@dataclass
class LayerCall:
    """A layer that the image came by: its dotted name, the shape it got, and what it gave (None where it
    failed).
    """

    name: str
    layer: nn.Module
    received: tuple[int, ...]
    gave: Tensor | None = None


@contextmanager
def eval_mode(module: nn.Module) -> Iterator[None]:
    """Run `module` without gradients and in evaluation mode, and put every layer's mode back afterwards."""
    modes = [(m, m.training) for m in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for m, mode in modes:
            m.training = mode


def dummy_input(module: nn.Module, shape: Sequence[int]) -> Tensor:
    """Zeros 1×shape, on the device and with the number type of the module's parameters."""
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros((1, *shape), dtype=like.dtype, device=like.device)


def trace(module: nn.Module, image: Tensor) -> tuple[list[LayerCall], Exception | None]:
    """The layers that `image` 1×C×H×W comes by, in order, and what stopped it, if anything did.

    Only layers without layers of their own are listed: Conv2d, Linear, and so on.

    >>> calls, problem = trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), torch.zeros(1, 3, 5, 5))
    >>> [(v.name, v.received) for v in calls], problem
    ([('0', (1, 3, 5, 5)), ('1', (1, 4, 3, 3))], None)
    """
    calls: list[LayerCall] = []
    with ExitStack() as hooks, eval_mode(module):
        for name, layer in module.named_modules():
            if next(layer.children(), None) is None:
                before, after = _watchers(name, calls)
                hooks.callback(layer.register_forward_pre_hook(before).remove)
                hooks.callback(layer.register_forward_hook(after).remove)
        try:
            module(image)
        except Exception as problem:  # whatever a person's own layer raises is what is to be explained
            return calls, problem
    return calls, None


def _watchers(name: str, calls: list[LayerCall]) -> tuple[Callable[..., None], Callable[..., None]]:
    def before(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        shapes = [tuple(i.shape) for i in inputs if isinstance(i, Tensor)]
        calls.append(LayerCall(name, layer, shapes[0] if shapes else ()))

    def after(layer: nn.Module, _inputs: tuple[Any, ...], output: Any) -> None:
        if isinstance(output, Tensor):
            next(v for v in reversed(calls) if v.layer is layer).gave = output

    return before, after


def explain(module: nn.Module, shape: Sequence[int]) -> str | None:
    """Which layer an image of `shape` C×H×W stops at, what it got and what it needs; None where the image
    fits.

    >>> explain(nn.Sequential(nn.Conv2d(3, 4, 3)), (1, 5, 5))
    'layer 0 (Conv2d) got 1×5×5 and needs 3 channels'
    """
    calls, problem = trace(module, dummy_input(module, shape))
    if problem is None:
        return None
    last = next((v for v in reversed(calls) if v.gave is None), None)
    if last is None:
        reached = f"after layer {calls[-1].name}" if calls else "before its first layer"
        return f"it stops {reached}: {_one_line(problem)}"
    kind = type(last.layer).__name__
    layer = f"layer {last.name} ({kind})" if last.name else kind
    return f"{layer} got {format_shape(last.received[1:])} and {_needs(last, problem)}"


def format_shape(shape: Sequence[int]) -> str:
    """A shape as people write it.

    >>> format_shape((3, 32, 32))
    '3×32×32'
    """
    return "×".join(str(n) for n in shape)


def _one_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


def _needs(call: LayerCall, problem: Exception) -> str:
    layer, received = call.layer, call.received
    if isinstance(layer, nn.Linear) and received[-1:] != (layer.in_features,):
        return f"needs {layer.in_features} numbers an image"
    channels = getattr(layer, "in_channels", getattr(layer, "num_features", None))
    if channels is not None and len(received) == 4 and received[1] != channels:
        return f"needs {channels} channels"
    if hasattr(layer, "kernel_size") and len(received) == 4:
        sides = [_smallest(layer, axis) for axis in (0, 1)]
        if received[2] < sides[0] or received[3] < sides[1]:
            return f"needs at least {format_shape(sides)} pixels"
    return f"fails: {_one_line(problem)}"


def _smallest(layer: nn.Module, axis: int) -> int:
    """The smallest side a convolution or a pooling takes: the reach of its kernel less the padding on both
    sides.
    """

    def of(attribute: str, otherwise: int) -> int:
        value = getattr(layer, attribute, otherwise)
        return int(value[axis] if isinstance(value, tuple) else value)

    if isinstance(layer.padding, str):
        return 1
    return max(1, (of("kernel_size", 1) - 1) * of("dilation", 1) + 1 - 2 * of("padding", 0))


def last_map(name: str, stages: nn.Module, shape: Sequence[int]) -> tuple[int, int, int]:
    """C, H and W of what the stages give for an image of `shape` C×H×W; what a head is sized by.

    A ShapeError names the layer at which an image that is too small stops, and the smallest square that
    passes.
    """
    try:
        with eval_mode(stages):
            channels, height, width = stages(dummy_input(stages, shape)).shape[1:]
    except RuntimeError as problem:
        side = smallest_side(stages, shape[0])
        remedy = f"; the smallest square image it takes is {side}×{side}" if side else ""
        reason = explain(stages, shape)
        raise ShapeError(
            f"{name} cannot be built for {format_shape(shape)} images: {reason}{remedy}"
        ) from problem
    return channels, height, width


def smallest_side(stages: nn.Module, channels: int) -> int | None:
    """The side of the smallest square image that passes the stages, or None if none up to 1,024 pixels
    does.
    """

    def passes(side: int) -> bool:
        return explain(stages, (channels, side, side)) is None

    high = next((side for side in (1 << n for n in range(11)) if passes(side)), None)
    if high is None:
        return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high
