"""What a network is made of, layer by layer: output shape, parameters, multiplications, stride and receptive
field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from convscope.core.errors import ShapeError
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.receptive_field import FieldTracer
from convscope.models.pytorch.shapes import LayerCall, dummy_input, explain, format_shape, trace

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One layer. `output` is its shape without N; `stride` and `receptive_field` are (height, width) in
    pixels of the image, and None where a value may depend on the whole image (after a global average, or in a
    linear layer).
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int
    stride: tuple[int, int] | None
    receptive_field: tuple[int, int] | None


@dataclass(frozen=True)
class Summary:
    """All layers of a network in the order in which an image passes them, and the sums.

    `macs` are multiply-accumulate operations for one image, of convolutions and linear layers alone; twice as
    many floating-point operations. Biases, norms, activations and pooling are left out, as papers do, and so
    are auxiliary heads, which only training has.
    """

    name: str
    input_shape: tuple[int, ...]
    rows: tuple[Row, ...]
    parameters: int
    trainable: int
    macs: int

    @property
    def receptive_field(self) -> tuple[int, int] | None:
        """The receptive field (height, width) of the last map that does not see the whole image already.

        All branches meet in it, and the layer that is called last need not be in the branch that sees most;
        so it is the largest field of any layer.
        """
        fields = [row.receptive_field for row in self.rows if row.receptive_field is not None]
        return (max(height for height, _ in fields), max(width for _, width in fields)) if fields else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "receptive_field": self.receptive_field}

    def table(self) -> Table:
        """The rows and sums as a table for rich to print."""
        from rich.table import Table

        title = f"{self.name} for {format_shape(self.input_shape)} images"
        table = Table(title=title, box=None, collapse_padding=True, show_footer=True, title_justify="left")
        table.add_column("layer", "all", overflow="fold")
        table.add_column("kind", "", overflow="fold")
        for header, total in (
            ("output", ""),
            ("parameters", f"{self.parameters:,}"),
            ("MACs", f"{self.macs:,}"),
            ("stride", ""),
            ("sees", ""),
        ):
            table.add_column(
                header, total, justify="right", no_wrap=True
            )  # where it is narrow, no digit is lost
        for row in self.rows:
            numbers = (f"{row.parameters:,}" if row.parameters else "", f"{row.macs:,}" if row.macs else "")
            table.add_row(
                row.name,
                row.kind,
                format_shape(row.output),
                *numbers,
                _pixels(row.stride),
                _pixels(row.receptive_field),
            )
        return table

    def __str__(self) -> str:
        from io import StringIO

        from rich.console import Console

        text = StringIO()
        Console(file=text, width=120).print(self.table())
        return text.getvalue()


def summarise(network: nn.Module, input_shape: Sequence[int] | None = None) -> Summary:
    """Every layer of `network` as one blank image C×H×W passes it; `input_shape` may be left out for a
    Network.

    Only layers that are called as modules become rows; a layer that is called twice has two, and its
    parameters count once. ShapeError where the image does not fit.

    >>> from convscope.models.pytorch.zoo import create
    >>> summary = summarise(create("small_cnn"))
    >>> summary.parameters, summary.macs, summary.receptive_field
    (545194, 6128896, (10, 10))
    """
    name = network.spec.name if isinstance(network, Network) else type(network).__name__
    layers = network.pipeline if isinstance(network, Network) else network
    if input_shape is None:
        if not isinstance(network, Network):
            raise ShapeError(
                f"{name} does not say which images it takes; give input_shape, such as (3, 32, 32)"
            )
        input_shape = network.spec.input_shape
    image = dummy_input(layers, input_shape)
    with FieldTracer(image) as tracer:
        calls, problem = trace(layers, image)
    if problem is not None:
        reason = explain(layers, input_shape)
        raise ShapeError(f"{name} does not take {format_shape(input_shape)} images: {reason}") from problem
    seen: set[int] = set()
    rows = tuple(_row(call, tracer, seen) for call in calls if call.gave is not None)
    sizes = [(p.numel(), p.requires_grad) for p in layers.parameters()]
    return Summary(
        name=name,
        input_shape=tuple(input_shape),
        rows=rows,
        parameters=sum(size for size, _ in sizes),
        trainable=sum(size for size, trainable in sizes if trainable),
        macs=sum(row.macs for row in rows),
    )


def _row(call: LayerCall, tracer: FieldTracer, seen: set[int]) -> Row:
    assert call.gave is not None
    field = tracer.field(call.gave)
    new = [p for p in call.layer.parameters() if id(p) not in seen]
    seen.update(id(p) for p in new)
    return Row(
        name=call.name,
        kind=type(call.layer).__name__,
        output=tuple(call.gave.shape[1:]),
        parameters=sum(p.numel() for p in new),
        macs=_macs(call.layer, call.received, call.gave),
        stride=field.stride if field else None,
        receptive_field=field.size if field else None,
    )


def _macs(layer: nn.Module, received: tuple[int, ...], gave: Tensor) -> int:
    """One multiplication for each weight at each place where it is used."""
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.weight[0].numel() * received[2] * received[3] * layer.in_channels
    if isinstance(layer, nn.Conv2d):
        return gave.numel() * layer.weight[0].numel()
    if isinstance(layer, nn.Linear):
        return gave.numel() * layer.in_features
    return 0


def _pixels(pair: tuple[int, int] | None) -> str:
    if pair is None:
        return "all"
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}×{pair[1]}"
