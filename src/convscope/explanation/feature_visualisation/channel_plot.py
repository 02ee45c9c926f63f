"""Figures of channels: what activates each most, made from noise and found among images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import ORANGE, new_figure, short_name
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.explanation.feature_visualisation.channels import Box, TopActivations

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Nine found images and the made one are ten panels, each a bit over an inch of the 11.5 inches.
IN_A_ROW = 9


def channels_figure(
    made: NDArray[np.floating[Any]], found: Sequence[TopActivations], part: PreparedSplit
) -> Figure:
    """A row for each channel: the image made for it, and the images that activate it most.

    Args:
        made: an image for each of U channels, U×H×W×C, 0 to 1.
        found: the images of `part` for each; an image of another class than the row's is framed.
        part: the images that were searched.
    """
    # 1.22 inches a row: a panel of about 1.1 inches and the line above it.
    figure = new_figure(11.5, 0.5 + 1.22 * len(found))
    panels = figure.subplots(len(found), IN_A_ROW + 1, squeeze=False)
    for row, (axes, one, top) in enumerate(zip(panels, made, found, strict=True)):
        _draw(axes[0], one)
        axes[0].set_ylabel(short_name(top.channel.title), fontsize=8, rotation=0, ha="right", va="center")
        if row == 0:
            axes[0].set_title("made", fontsize=7)
        _draw_found(axes[1:], top, part, list(part.take(top.positions)))
    return figure


def channel_figure(made: NDArray[np.floating[Any]], found: TopActivations, part: PreparedSplit) -> Figure:
    """One channel: the image made for it, the images that activate it most, and what it saw of them.

    Args:
        made: H×W×C, 0 to 1; drawn large.
        found: the images of `part`.
        part: the images that were searched.
    """
    # A logit sees the whole image, so there is no crop to show.
    whole = found.channel.layer is None
    figure = new_figure(11.5, 2.6 if whole else 2.9)
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1, 3.4])[0]
    large = left.subplots()
    _draw(large, made)
    large.set_title(f"made for {short_name(found.channel.title)}", fontsize=9)
    rows = right.subplots(1 if whole else 2, IN_A_ROW, squeeze=False)
    _draw_found(rows[0], found, part, list(part.take(found.positions)))
    if not whole:
        # Not strict: a small split may hold fewer images than there are panels.
        for axes, box in zip(rows[0], found.boxes, strict=False):
            _frame(axes, box)
        _draw_found(rows[1], found, part, found.crops(part), titled=False)
    rows[0][0].set_ylabel("images", fontsize=8)
    rows[-1][0].set_ylabel("images" if whole else "what it saw", fontsize=8)
    return figure


def _draw_found(
    panels: Sequence[Axes],
    found: TopActivations,
    part: PreparedSplit,
    images: Sequence[NDArray[np.uint8]],
    *,
    titled: bool = True,
) -> None:
    labels = part.targets[found.positions]
    for number, axes in enumerate(panels):
        if number >= len(images):
            axes.set_axis_off()
            continue
        _draw(axes, images[number] / 255)
        if titled:
            # Three digits: activations have no unit, and only their order is read.
            axes.set_title(f"{found.values[number]:.3g}", fontsize=7, pad=2)
        # Only a logit has a class of its own that an image can miss.
        if found.channel.layer is None and labels[number] != found.channel.index:
            for spine in axes.spines.values():
                spine.set(edgecolor=ORANGE, linewidth=2)


def _draw(axes: Axes, image: NDArray[np.floating[Any]]) -> None:
    # Fixed limits: imshow would stretch a dark image of one channel to full contrast.
    axes.imshow(image[:, :, 0] if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=1)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set(edgecolor="#cccccc", linewidth=0.5)


def _frame(axes: Axes, box: Box) -> None:
    from matplotlib.patches import Rectangle

    top, left, bottom, right = box
    # imshow puts the middle of pixel 0 at coordinate 0, so its edge is at −0.5.
    corner = (left - 0.5, top - 0.5)
    axes.add_patch(Rectangle(corner, right - left, bottom - top, fill=False, edgecolor=ORANGE, linewidth=1))
