"""The picture of an explanation: the image with its answer, and beside it what each method says, in
colours.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import new_figure, short_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

Floats = NDArray[np.floating[Any]]
SIGNED, UNSIGNED = "RdBu_r", "plasma"
PERCENTILE = 99
"""Of a map's strengths: what lies above has the full colour, so that one pixel does not hide all others."""
COLUMNS, SIDE = 5, 2.5
"""Panels in a row, and the width of one in inches."""
LEGEND = "insertion: high is good · deletion: low is good · ROAD: above 0 · untrained: near 0 · ★ the most faithful"
SMALL = 96
GREY = np.array([0.299, 0.587, 0.114])
"""The luma of ITU-R BT.601, as decoding uses it."""


@dataclass(frozen=True, eq=False)
class Panel:
    """What one method says of one image: a `map` H×W, or the reason why it is `refused`.

    `numbers`: lines that stand below. `best`: is it the most faithful of the picture?
    """

    title: str
    map: Floats
    signed: bool = False
    refused: str | None = None
    numbers: str = ""
    best: bool = False


def strength(map: Floats, *, signed: bool) -> Floats:
    """A map H×W on the scale of its colours: −1 to 1 around zero where `signed`, else 0 to 1 from its
    smallest value.

    The 99th percentile of what is there has the full colour.

    >>> strength(np.array([[0.0, 1.0, 2.0]]), signed=False).round(2).tolist()
    [[0.0, 0.51, 1.0]]
    >>> strength(np.array([[-4.0, 0.0, 4.0]]), signed=True).tolist()
    [[-1.0, 0.0, 1.0]]
    """
    values = np.nan_to_num(map.astype(np.float64))
    if not signed:
        values = values - values.min()
    sizes = np.abs(values)
    full = np.percentile(sizes, PERCENTILE) or sizes.max()
    scaled: Floats = np.clip(values / full, -1, 1) if full > 0 else values * 0
    return scaled


def overlay(image: NDArray[np.uint8], map: Floats, *, signed: bool) -> NDArray[np.uint8]:
    """A map H×W in colours over its image, uint8 H×W×C, in grey: uint8 H×W×3.

    Signed maps: red speaks for the class, blue against it, and what is white or grey does neither. Others:
    from dark violet, which counts least, to yellow.

    >>> overlay(np.zeros((2, 2, 1), np.uint8), np.eye(2), signed=True).shape
    (2, 2, 3)
    """
    values = strength(map, signed=signed)
    grey = (image @ GREY if image.shape[2] == 3 else image[..., 0])[..., None] / 255
    mixed = 0.35 * grey + 0.65 * _colours(values, signed)
    return (255 * mixed).round().astype(np.uint8)


def explanation_figure(
    image: NDArray[np.uint8], heading: str, panels: Sequence[Panel], *, label: str
) -> Figure:
    """An image, uint8 H×W×C, under its `heading`, then a panel a method; `label` is the class that is
    explained.

    What a colour means stands below. Small images are enlarged without smoothing: a pixel stays a square.
    """
    height, width = image.shape[:2]
    rows = -(-(len(panels) + 1) // COLUMNS)
    columns = -(-(len(panels) + 1) // rows)
    below = 0.17 * max((panel.numbers.count("\n") + 1 for panel in panels if panel.numbers), default=0)
    tall = float(np.clip(SIDE * height / width, 1.2, 2 * SIDE)) + 0.5 + below
    figure = new_figure(max(SIDE * columns, 2 * SIDE), tall * rows + 0.6)
    parts: Any = figure.subfigures(2, 1, height_ratios=[tall * rows, 0.6])
    above, legend = parts
    grid = above.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    shown = image if image.shape[2] == 3 else image[..., 0]
    grid[0].imshow(shown, cmap="gray", vmin=0, vmax=255, interpolation=_interpolation(image))
    grid[0].set_title(heading, fontsize=9)
    for axes, panel in zip(grid[1:], panels, strict=False):
        _draw(axes, image, panel)
    kinds = sorted({panel.signed for panel in panels if panel.refused is None})
    _explain_colours(legend, kinds, short_name(label))
    return figure


def _draw(axes: Any, image: NDArray[np.uint8], panel: Panel) -> None:
    weight = "bold" if panel.best else "normal"
    axes.set_title(panel.title + (" ★" if panel.best else ""), fontsize=9, fontweight=weight)
    if panel.refused is not None:
        axes.imshow(np.full_like(image[..., :1], 240).repeat(3, axis=2))
        words = textwrap.fill(panel.refused, 30, max_lines=11, placeholder=" …").replace("$", r"\$")
        axes.text(
            0.5, 0.5, words, transform=axes.transAxes, ha="center", va="center", fontsize=7.5, color="#444444"
        )
        return
    axes.imshow(overlay(image, panel.map, signed=panel.signed), interpolation=_interpolation(image))
    axes.text(0.5, -0.03, panel.numbers, transform=axes.transAxes, ha="center", va="top", fontsize=7.5)


def _colours(values: Floats, signed: bool) -> Floats:
    """Strengths, −1 to 1 where `signed` and else 0 to 1, as red, green and blue, 0 to 1, on a new last
    axis.
    """
    from matplotlib import colormaps

    if signed:
        # The outer tenths of the diverging colours are almost black, as images are.
        return np.asarray(colormaps[SIGNED](0.5 + 0.4 * values))[..., :3]
    return np.asarray(colormaps[UNSIGNED](values))[..., :3]


def _interpolation(image: NDArray[np.uint8]) -> str:
    """Squares for small images; large ones may be shrunk, and dropping pixels would make patterns of its
    own.
    """
    return "nearest" if max(image.shape[:2]) <= SMALL else "auto"


def _explain_colours(figure: SubFigure, kinds: Sequence[bool], label: str) -> None:
    if not kinds:
        return
    figure.supxlabel(LEGEND, fontsize=7.5, color="#444444")
    for axes, signed in zip(figure.subplots(1, len(kinds), squeeze=False).ravel(), kinds, strict=True):
        axes.imshow(_colours(np.linspace(-1 if signed else 0, 1, 256)[None], signed), aspect="auto")
        axes.set_axis_off()
        words = (
            (f"against {label}", "neither", f"for {label}") if signed else ("counts least", "", "counts most")
        )
        for place, word, side in zip((0, 0.5, 1), words, ("left", "center", "right"), strict=True):
            axes.text(place, -0.25, word, transform=axes.transAxes, ha=side, va="top", fontsize=7.5)
