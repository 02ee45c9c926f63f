"""Figures of receptive fields: over the image, and against the resolution of the maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import BLUE, GREY, ORANGE, label_axes, new_figure, short_name
from convscope.explanation.feature_visualisation.receptive_field import StageField, pixels
from convscope.models.receptive_field import Pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

# 5 panels of 2.6 inches are 13 inches, about the width of a laptop screen.
IN_A_ROW = 5


def fields_figure(image: NDArray[np.uint8], fields: Sequence[StageField]) -> Figure:
    """The image, uint8 H×W×C, for each stage: red where the gradient is, with both fields as frames."""
    columns = min(len(fields), IN_A_ROW)
    rows = math.ceil(len(fields) / columns)
    figure = new_figure(max(2.6 * columns, 4.0), 3.0 * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes in panels[len(fields) :]:
        axes.set_axis_off()
    for axes, field in zip(panels, fields, strict=False):
        _draw_field(axes, image, field)
    # Made for the legend alone: a panel without a field in theory has no orange frame.
    handles = [_frame((0, 1), (0, 1), ORANGE, "-"), _frame((0, 1), (0, 1), BLUE, "--")]
    labels = ["in theory", "measured: 95 % of the gradient"]
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def growth_figure(fields: Sequence[StageField], size: Pair) -> Figure:
    """Above, the field grows from stage to stage; below, the feature map shrinks. Images of `size` H×W.

    Of heights and widths the larger one is drawn.
    """
    figure = new_figure(max(4.5, min(11.0, 2.5 + 0.7 * len(fields))), 4.8)
    above, below = figure.subplots(2, 1, sharex=True)
    steps = range(len(fields) + 1)
    whole = max(size)
    # Before the first stage a position is one pixel, and sees only itself.
    theory = [1, *(whole if each.theory is None else max(each.theory.size) for each in fields)]
    above.plot(steps, theory, "o-", color=ORANGE, markersize=4, label="in theory")
    above.plot(
        steps,
        [1, *(max(each.measured) for each in fields)],
        "s--",
        color=BLUE,
        markersize=4,
        label="measured",
    )
    above.axhline(whole, color=GREY, linewidth=0.8, linestyle=":", label=f"image: {pixels(size)}")
    label_axes(above, "", "field, pixels")
    above.legend(frameon=False, fontsize=8)
    below.plot(steps, [whole, *(max(each.size) for each in fields)], "o-", color=GREY, markersize=4)
    label_axes(below, "", "map, positions a side")
    below.set_ylim(bottom=0)
    names = ["image", *(short_name(each.stage, 14) for each in fields)]
    below.set_xticks(
        steps, names, rotation=45 if len(fields) > 5 else 0, ha="right" if len(fields) > 5 else "center"
    )
    return figure


def _draw_field(axes: Axes, image: NDArray[np.uint8], field: StageField) -> None:
    # Lightened, so that red stays visible on a dark image.
    grey = image.mean(axis=2) / 255
    axes.imshow(0.25 + 0.75 * grey, cmap="gray", vmin=0, vmax=1)
    peak = field.gradient.max()
    # The root, because the gradient falls like a bell from the middle and its flanks would not be seen.
    strength = np.sqrt(field.gradient / peak) if peak > 0 else field.gradient
    # 1 of 1.3: the end of these colours is a red near black, which a dark image would hide.
    axes.imshow(np.ones_like(strength), cmap="Reds", vmin=0, vmax=1.3, alpha=0.85 * strength)
    height, width = field.gradient.shape
    rows, columns = field.interval(0), field.interval(1)
    if field.theory is not None:
        middles = [(field.size[i] // 2 + 0.5) / field.size[i] * field.gradient.shape[i] for i in (0, 1)]
        across = _around(middles[1], field.theory.size[1], columns)
        axes.add_patch(_frame(_around(middles[0], field.theory.size[0], rows), across, ORANGE, "-"))
    axes.add_patch(_frame(rows, columns, BLUE, "--"))
    # The limits of the image, since a field in theory may reach beyond its border.
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    theory = "all" if field.theory is None else pixels(field.theory.size)
    stage = f"{short_name(field.stage, 18)}: map {pixels(field.size)}"
    axes.set_title(f"{stage}\nin theory {theory}, measured {pixels(field.measured)}", fontsize=8)


def _around(middle: float, length: int, inner: Pair) -> tuple[float, float]:
    """A range of `length` around the middle, moved by the pixel or two of padding to hold `inner`."""
    # Both limits hold where the field is at least as long as the measured range, which it is but for gates.
    start = min(max(middle - length / 2, inner[1] - length), inner[0])
    return start, start + length


def _frame(rows: tuple[float, float], columns: tuple[float, float], colour: str, style: str) -> Rectangle:
    from matplotlib.patches import Rectangle

    corner = (columns[0] - 0.5, rows[0] - 0.5)
    return Rectangle(
        corner,
        columns[1] - columns[0],
        rows[1] - rows[0],
        fill=False,
        edgecolor=colour,
        linestyle=style,
        linewidth=1.5,
    )
