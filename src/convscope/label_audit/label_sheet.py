"""Images whose labels are probably wrong on one sheet, for a person to look at."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import GREY, ORANGE, new_figure
from convscope.label_audit.label_report import LabelConflict, LabelReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# 8 × 1.65 inches at 150 dots an inch are 1,980 pixels, about the width of a common screen.
COLUMNS = 8
LETTERS = 24  # that fit above an image 1.5 inches wide, at 7 points


@dataclass(frozen=True)
class SheetRow:
    """An image of the sheet, by its `position` among those that were checked, and the `caption` above it.

    `certain`: the picture has several labels, so that one is wrong whatever a network predicts.
    """

    position: int
    name: str
    caption: str
    certain: bool


def sheet_rows(report: LabelReport, top: int) -> list[SheetRow]:
    """At most `top` images of a report for its sheet, conflicts first."""
    rows = [row for conflict in report.conflicts for row in _conflict_rows(conflict)]
    for issue in report.issues:
        caption = f"{_short(issue.label)} → {_short(issue.suggested)} {issue.p_suggested:.2f}"
        rows.append(SheetRow(issue.position, issue.name, caption, certain=False))
    return rows[:top]


def _conflict_rows(conflict: LabelConflict) -> list[SheetRow]:
    """The images of a conflict that were checked: their pixels are at hand."""
    rows = []
    for name, label, position in zip(conflict.names, conflict.labels, conflict.positions, strict=True):
        if position is not None:
            others = " / ".join(sorted({*conflict.labels} - {label}))
            rows.append(SheetRow(position, name, f"{_short(label)} = {_short(others)}", certain=True))
    return rows


def label_sheet(images: NDArray[np.uint8], rows: Sequence[SheetRow]) -> Figure:
    """The images with name and caption above each; a certain one has a frame.

    Args:
        images: uint8 n×H×W×C, 1 ≤ n.
        rows: n, in the order of the images.
    """
    columns = min(COLUMNS, len(images))
    lines = -(-len(images) // columns)
    # 1.5 inches of image, a gap, and above it two or three lines of text.
    figure = new_figure(1.65 * columns, 1.95 * lines)
    grid = figure.subplots(lines, columns, squeeze=False).ravel()
    # Not strict: the last line of the grid may have empty places.
    for axes, image, row in zip(grid, images, rows, strict=False):
        _draw(axes, image, row.certain)
        title = f"{_end(row.name)}\n{textwrap.fill(_printable(row.caption), LETTERS)}"
        colour = ORANGE if row.certain else "black"
        # A class may be called $x$, which is no formula.
        axes.set_title(title, fontsize=7, color=colour, parse_math=False, pad=3)
    for axes in grid[len(images) :]:
        axes.set_axis_off()
    return figure


def _draw(axes: Axes, image: NDArray[np.uint8], certain: bool) -> None:
    grey = image.shape[2] == 1
    # With fixed limits a dark image stays dark.
    axes.imshow(image[:, :, 0] if grey else image, cmap="gray" if grey else None, vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(ORANGE if certain else GREY)
        spine.set_linewidth(2.0 if certain else 0.5)


def _end(name: str) -> str:
    """The end of a name tells images apart, its beginning is a folder."""
    return _printable(name if len(name) <= LETTERS else f"…{name[-LETTERS + 1 :]}")


def _short(label: str) -> str:
    # Half a line each: two labels and a probability take two lines at most.
    return label if len(label) <= LETTERS // 2 else f"{label[: LETTERS // 2 - 1]}…"


def _printable(text: str) -> str:
    """Line ends would move the image, and a file's name may hold any byte."""
    return "".join(letter if letter.isprintable() else "·" for letter in text)
