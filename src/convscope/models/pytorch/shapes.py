"""Follow an image through a network: to size a head, and to explain a shape that does not fit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from convscope.core.errors import ShapeError
from convscope.models.pytorch.hooks import LayerCall, eval_mode, trace
from convscope.models.spec_text import format_shape


def dummy_input(module: nn.Module, shape: Sequence[int]) -> Tensor:
    """Zeros 1×shape, on the device and with the number type of the module's parameters."""
    # A module without parameters, such as a pooling, takes what torch takes by default.
    like = next((p for p in module.parameters() if p.is_floating_point()), torch.empty(0))
    return torch.zeros((1, *shape), dtype=like.dtype, device=like.device)


def explain(module: nn.Module, shape: Sequence[int]) -> str | None:
    """Where an image of `shape` C×H×W stops: the layer, what it got and what it needs; None where it fits.

    One blank image is sent through `module`, whose mode is put back.

    >>> explain(nn.Sequential(nn.Conv2d(3, 4, 3)), (1, 5, 5))
    'layer 0 (Conv2d) got 1×5×5 and needs 3 channels'
    """
    calls, problem = trace(module, dummy_input(module, shape))
    if problem is None:
        return None
    last = next((call for call in reversed(calls) if call.gave is None), None)
    if last is None:
        # Between layers: in the forward of the module itself.
        reached = f"after layer {calls[-1].name}" if calls else "before its first layer"
        return f"it stops {reached}: {_one_line(problem)}"
    kind = type(last.layer).__name__
    layer = f"layer {last.name} ({kind})" if last.name else kind
    return f"{layer} got {format_shape(last.received[1:])} and {_needs(last, problem)}"


def _one_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


def _needs(call: LayerCall, problem: Exception) -> str:
    """What a layer needs that it did not get: numbers, channels or pixels, else what torch says."""
    layer, received = call.layer, call.received
    if isinstance(layer, nn.Linear) and received[-1:] != (layer.in_features,):
        return f"needs {layer.in_features} numbers an image"
    needs = _needs_of_maps(layer, received) if len(received) == 4 else None
    return needs or f"fails: {_one_line(problem)}"


def _needs_of_maps(layer: nn.Module, received: tuple[int, ...]) -> str | None:
    # Convolutions say in_channels, batch norms num_features; poolings take any number.
    channels = getattr(layer, "in_channels", getattr(layer, "num_features", None))
    if channels is not None and received[1] != channels:
        return f"needs {channels} channels"
    if hasattr(layer, "kernel_size"):
        sides = [_smallest(layer, axis) for axis in (0, 1)]
        if received[2] < sides[0] or received[3] < sides[1]:
            return f"needs at least {format_shape(sides)} pixels"
    return None


def _smallest(layer: nn.Module, axis: int) -> int:
    """The smallest side that a convolution or pooling takes: the extent of its kernel less both paddings."""

    def of(attribute: str, otherwise: int) -> int:
        value = getattr(layer, attribute, otherwise)
        return int(value[axis] if isinstance(value, tuple) else value)

    if isinstance(layer.padding, str):
        return 1
    return max(1, (of("kernel_size", 1) - 1) * of("dilation", 1) + 1 - 2 * of("padding", 0))


def last_map(name: str, stages: nn.Module, shape: Sequence[int]) -> tuple[int, int, int]:
    """C, H and W of what the stages give for an image of `shape` C×H×W; what a head is sized by.

    Args:
        name: of the network, for errors.
        stages: what the image passes.
        shape: (C, H, W) of the image.

    Raises:
        ShapeError: with the layer at which a too small image stops, and the smallest square that passes.
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
    """The side of the smallest square image that passes the stages, or None: none up to 1,024 pixels does."""

    def passes(side: int) -> bool:
        return explain(stages, (channels, side, side)) is None

    # Powers of two first, then bisection: 20 passes at most, and only where a person is to be told.
    high = next((side for side in (1 << n for n in range(11)) if passes(side)), None)
    if high is None:
        return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if passes(middle) else (middle, high)
    return high
