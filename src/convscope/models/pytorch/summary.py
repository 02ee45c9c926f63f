"""The summary of a PyTorch network: one dummy image is traced through it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from convscope.core.errors import ShapeError
from convscope.models.pytorch.hooks import LayerCall, trace
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.receptive_field import FieldTracer
from convscope.models.pytorch.shapes import dummy_input, explain
from convscope.models.spec_text import format_shape
from convscope.models.summary import Row, Summary


def summarise(network: nn.Module, input_shape: Sequence[int] | None = None) -> Summary:
    """Every layer of `network`, as one blank image C×H×W passes it.

    Only layers that are called as modules become rows; a layer that is called twice has two, and its
    parameters count once.

    Args:
        network: any module.
        input_shape: (C, H, W); may be left out for a Network, which says what it was built for.

    Raises:
        ShapeError: the image does not fit, or nobody said its shape.

    >>> from convscope.models.pytorch.zoo import create
    >>> summary = summarise(create("small_cnn"))
    >>> summary.parameters, summary.macs, summary.receptive_field
    (545194, 6128896, (10, 10))
    """
    layers = network
    name = type(network).__name__
    if isinstance(network, Network):
        # The head comes last, and auxiliary heads, which only training has, are left out.
        layers, name = network.pipeline, network.spec.name
        input_shape = input_shape or network.spec.input_shape
    if input_shape is None:
        raise ShapeError(f"{name} does not say which images it takes; give input_shape, such as (3, 32, 32)")
    image = dummy_input(layers, input_shape)
    with FieldTracer(image) as tracer:
        calls, problem = trace(layers, image)
    if problem is not None:
        reason = explain(layers, input_shape)
        raise ShapeError(f"{name} does not take {format_shape(input_shape)} images: {reason}") from problem
    rows = _rows(calls, tracer)
    return Summary(
        name=name,
        input_shape=tuple(input_shape),
        rows=rows,
        parameters=_count(layers.parameters()),
        trainable=_count(p for p in layers.parameters() if p.requires_grad),
        macs=sum(row.macs for row in rows),
    )


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(parameter.numel() for parameter in parameters)


def _rows(calls: Sequence[LayerCall], tracer: FieldTracer) -> tuple[Row, ...]:
    seen: set[int] = set()  # ids of parameters that an earlier row counts
    return tuple(_row(call, tracer, seen) for call in calls if call.gave is not None)


def _row(call: LayerCall, tracer: FieldTracer, seen: set[int]) -> Row:
    assert call.gave is not None
    field = tracer.field(call.gave)
    new = [p for p in call.layer.parameters() if id(p) not in seen]
    seen.update(id(p) for p in new)
    return Row(
        name=call.name,
        kind=type(call.layer).__name__,
        output=tuple(call.gave.shape[1:]),
        parameters=_count(new),
        macs=_macs(call.layer, call.received, call.gave),
        stride=field.stride if field else None,
        receptive_field=field.size if field else None,
    )


def _macs(layer: nn.Module, received: tuple[int, ...], gave: Tensor) -> int:
    """One multiplication for each weight at each position where it is used."""
    # A transposed convolution uses its weights once a position of its input, not of its output.
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.weight[0].numel() * received[2] * received[3] * layer.in_channels
    if isinstance(layer, nn.Conv2d):
        return gave.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.Linear):
        return gave.numel() * layer.in_features
    return 0
