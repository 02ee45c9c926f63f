"""Figures of units: what excites each most, made from noise and found among images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import ORANGE, new_figure, short_name
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.explanation.feature_visualisation.top_activations import Exciting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IN_A_ROW = 9


def units_figure(made: NDArray[np.floating[Any]], found: Sequence[Exciting], part: PreparedSplit) -> Figure:
    """A row for each unit: the image made for it, U×H×W×C in 0 to 1, and the images of a part that excite it
    most.

    The largest activation stands above each image; an image of another class than the row's is framed.
    """
    figure = new_figure(11.5, 0.5 + 1.22 * len(found))
    panels = figure.subplots(len(found), IN_A_ROW + 1, squeeze=False)
    for row, (axes, one, unit) in enumerate(zip(panels, made, found, strict=True)):
        _draw(axes[0], one)
        axes[0].set_ylabel(short_name(unit.unit.title), fontsize=8, rotation=0, ha="right", va="center")
        if row == 0:
            axes[0].set_title("made", fontsize=7)
        _draw_found(axes[1:], unit, part, list(part.take(unit.positions)))
    return figure


def unit_figure(made: NDArray[np.floating[Any]], found: Exciting, part: PreparedSplit) -> Figure:
    """One unit: the image H×W×C made for it, large, the images that excite it most, and what it saw of
    them.
    """
    whole = found.unit.layer is None
    figure = new_figure(11.5, 2.6 if whole else 2.9)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1, 3.4])[0]
    large = left.subplots()
    _draw(large, made)
    large.set_title(f"made for {short_name(found.unit.title)}", fontsize=9)
    rows = right.subplots(1 if whole else 2, IN_A_ROW, squeeze=False)
    _draw_found(rows[0], found, part, list(part.take(found.positions)))
    if not whole:
        for axes, (top, left_edge, bottom, right_edge) in zip(rows[0], found.boxes, strict=False):
            _frame(axes, (top, left_edge, bottom, right_edge))
        _draw_found(rows[1], found, part, found.crops(part), titled=False)
    rows[0][0].set_ylabel("images", fontsize=8)
    rows[-1][0].set_ylabel("images" if whole else "what it saw", fontsize=8)
    return figure


def _draw_found(
    panels: Sequence[Axes],
    found: Exciting,
    part: PreparedSplit,
    images: Sequence[NDArray[np.uint8]],
    *,
    titled: bool = True,
) -> None:
    labels = part.targets[found.positions]
    for place, axes in enumerate(panels):
        if place >= len(images):
            axes.set_axis_off()
            continue
        _draw(axes, images[place] / 255)
        if titled:
            axes.set_title(f"{found.values[place]:.3g}", fontsize=7, pad=2)
        if found.unit.layer is None and labels[place] != found.unit.index:
            for spine in axes.spines.values():
                spine.set(edgecolor=ORANGE, linewidth=2)


def _draw(axes: Axes, image: NDArray[np.floating[Any]]) -> None:
    axes.imshow(image[:, :, 0] if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(edgecolor="#cccccc", linewidth=0.5)


def _frame(axes: Axes, box: tuple[int, int, int, int]) -> None:
    from matplotlib.patches import Rectangle

    top, left, bottom, right = box
    corner = (left - 0.5, top - 0.5)
    axes.add_patch(Rectangle(corner, right - left, bottom - top, fill=False, edgecolor=ORANGE, linewidth=1))
