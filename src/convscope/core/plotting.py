"""Figures as files: the few settings that all of them share. No pyplot, so nothing global."""

from __future__ import annotations

import warnings
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from convscope.core.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Six of the eight colours of Okabe and Ito 2008, which are told apart with any colour vision. Their yellow is
# too light for a line, and black is for text.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BLUE, ORANGE, GREY = COLOURS[0], COLOURS[1], "#666666"
DPI = 150


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, at 150 dots an inch."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Write a figure as PNG, in one step and without its empty margins; returns the path."""
    png = BytesIO()
    draw_figure(figure, png, format="png")
    write_bytes(Path(path), png.getvalue())
    return Path(path)


def draw_figure(figure: Figure, file: IO[Any], **options: Any) -> None:
    """`Figure.savefig` without empty margins; a letter that the font lacks is a box, without a warning for
    each.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(file, bbox_inches="tight", **options)


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes, and leave of the frame what helps to read them."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def short_name(name: str, limit: int = 22) -> str:
    r"""Names as long as sentences, or of several lines, would leave no room for the figure; $ would begin a
    formula.

    >>> print(short_name("price\nin $"))
    price in \$
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    shown = plain if len(plain) <= limit else plain[: limit - 1] + "…"
    return shown.replace("$", r"\$")
