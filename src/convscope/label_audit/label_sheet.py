"""Images with their doubtful labels on one sheet, to be looked at by a person."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import GREY, ORANGE, new_figure
from convscope.label_audit.label_report import LabelReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 8
LETTERS = 24  # that fit above an image 1.5 inches wide, at 7 points


def sheet_rows(report: LabelReport, top: int) -> list[tuple[int, str, str, bool]]:
    """(position, name, what is said of it, certain) of at most `top` images for a sheet: conflicts first."""
    conflicts = [
        (
            position,
            name,
            f"{_short(label)} = {_short(' / '.join(sorted({*conflict.labels} - {label})))}",
            True,
        )
        for conflict in report.conflicts
        for name, label, position in zip(conflict.names, conflict.labels, conflict.positions, strict=True)
        if position is not None
    ]
    doubtful = [
        (
            row.position,
            row.name,
            f"{_short(row.label)} → {_short(row.suggested)} {row.p_suggested:.2f}",
            False,
        )
        for row in report.doubtful
    ]
    return (conflicts + doubtful)[:top]


def label_sheet(images: NDArray[np.uint8], rows: Sequence[tuple[int, str, str, bool]]) -> Figure:
    """Images uint8 n×H×W×C, 1 ≤ n, with a name and the words about each above it; a certain one has a
    frame.
    """
    columns = min(COLUMNS, len(images))
    lines = -(-len(images) // columns)
    figure = new_figure(1.65 * columns, 1.95 * lines)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes, image, (_, name, told, certain) in zip(grid, images, rows, strict=False):
        _draw(axes, image, certain)
        words = f"{_end(name)}\n{textwrap.fill(_printable(told), LETTERS)}"
        axes.set_title(words, fontsize=7, color=ORANGE if certain else "black", parse_math=False, pad=3)
    for axes in grid[len(images) :]:
        axes.set_axis_off()
    return figure


def _draw(axes: Axes, image: NDArray[np.uint8], certain: bool) -> None:
    grey = image.shape[2] == 1
    axes.imshow(image[:, :, 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(ORANGE if certain else GREY)
        spine.set_linewidth(2.0 if certain else 0.5)


def _end(name: str) -> str:
    """The end of a name says more than its beginning."""
    return _printable(name if len(name) <= LETTERS else f"…{name[-LETTERS + 1 :]}")


def _short(word: str) -> str:
    return word if len(word) <= LETTERS // 2 else f"{word[: LETTERS // 2 - 1]}…"


def _printable(text: str) -> str:
    """Line ends would move the picture, and a file's name may hold any byte."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)
