"""What a network is made of, layer by layer: output shape, parameters, work, stride and receptive field."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from convscope.models.receptive_field import Pair
from convscope.models.spec_text import format_shape

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One layer; `output` is its shape without N.

    `stride` and `receptive_field` are (height, width) in pixels of the image, and None where a value may
    depend on the whole image: after a global average, or in a linear layer.
    """

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int
    stride: Pair | None
    receptive_field: Pair | None


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
    def receptive_field(self) -> Pair | None:
        """The receptive field (height, width) of the last map that does not see the whole image already.

        All branches meet in it, and the layer that is called last need not be in the branch that sees most;
        so it is the largest field of any layer.
        """
        # A layer behind the global average says None: it sees everything and tells nothing.
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
        # Figures must stay whole: where the terminal is narrow, names fold before a digit is lost.
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
        # As wide as a page, whatever terminal the text is made in.
        Console(file=text, width=120).print(self.table())
        return text.getvalue()


def _pixels(pair: Pair | None) -> str:
    if pair is None:
        return "all"
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}×{pair[1]}"
