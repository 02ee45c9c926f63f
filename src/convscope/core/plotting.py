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
DPI = 150  # a figure of 6 inches is 900 pixels wide


def new_figure(width: float, height: float) -> Figure:
    """An empty figure at 150 dots an inch.

    Args:
        width: inches.
        height: inches.
    """
    from matplotlib.figure import Figure

    # Figure and not pyplot, which keeps every figure in memory and picks a window system.
    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Write a figure as PNG, in one step and without its empty margins.

    Args:
        figure: of matplotlib, without pyplot.
        path: of the file; its folder exists.

    Returns:
        The path.
    """
    # Drawn in memory: an error halfway leaves the old file as it was.
    png = BytesIO()
    draw_figure(figure, png, format="png")
    write_bytes(Path(path), png.getvalue())
    return Path(path)


def draw_figure(figure: Figure, file: IO[Any], **options: Any) -> None:
    """`Figure.savefig` without empty margins, and without a warning for each letter that the font lacks.

    Args:
        figure: of matplotlib.
        file: open for writing.
        options: those of `Figure.savefig`, such as format.
    """
    with warnings.catch_warnings():
        # matplotlib's own font has no Chinese or emoji; class names may.
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(file, bbox_inches="tight", **options)


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes, and leave of the frame what helps to read them.

    Args:
        axes: of one plot.
        x: what the horizontal one shows, with its unit.
        y: what the vertical one shows.
    """
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def short_name(name: str, limit: int = 22) -> str:
    r"""A name that leaves room for the figure: of one line, short, and without $, which begins a formula.

    Args:
        name: of a class or a file.
        limit: letters at most.

    >>> print(short_name("price\nin $"))
    price in \$
    """
    # matplotlib breaks a label at a newline and draws control characters as boxes.
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    shown = plain if len(plain) <= limit else plain[: limit - 1] + "…"
    return shown.replace("$", r"\$")
