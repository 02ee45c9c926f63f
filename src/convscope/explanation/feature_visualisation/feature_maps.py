"""What the layers make of one image: the feature maps of each stage, the strongest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import new_figure
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.mosaic import columns_for, draw_mosaic, stretched

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Two rows of eight tiles for each stage.
STRONGEST = 16
# 256 maps are 21 columns of 0.43 inches; more would be too small to read.
MOST = 256
BLANK = 1e-6
"""A feature map none of whose values reaches this fraction of the stage's largest is blank."""


@dataclass(frozen=True, eq=False)
class StageMaps:
    """The feature maps D×h×w that one `stage` gives for one image."""

    stage: str
    maps: NDArray[np.floating[Any]]

    @property
    def strength(self) -> NDArray[np.floating[Any]]:
        """Mean |value| of each feature map, D."""
        found: NDArray[np.floating[Any]] = np.abs(self.maps).mean(axis=(1, 2))
        return found

    @property
    def blank(self) -> NDArray[np.bool_]:
        """Which of the D feature maps hold nothing for this image."""
        # Against the stage and not against 1: activations have no unit.
        peaks = np.abs(self.maps).max(axis=(1, 2))
        found: NDArray[np.bool_] = peaks <= BLANK * peaks.max()
        return found

    def strongest(self, count: int) -> NDArray[np.int64]:
        """The numbers of the `count` strongest, the strongest first; equal ones in their order."""
        order: NDArray[np.int64] = np.argsort(-self.strength, kind="stable")[:count]
        return order

    def line(self) -> str:
        """Their number and size, and how many are blank, for a person."""
        count, height, width = self.maps.shape
        return f"{self.stage}: {count} maps of {height}×{width}, {int(self.blank.sum())} blank for this image"


def feature_maps(
    model: ExplainedModel, image: NDArray[np.uint8], layers: Sequence[str] | None = None
) -> list[StageMaps]:
    """The feature maps that layers give for one image, in the order of their calls.

    Args:
        model: with the inside of its network.
        image: prepared, uint8 H×W×C.
        layers: names; None for the stages.

    Returns:
        One entry a layer that gives feature maps.

    Raises:
        UserError: none gives any, a name is not there, or only predictions are at hand.
    """
    names = model.inside().layers() if layers is None else layers
    found, _ = model.inside().feature_maps(model.inputs(image[None]), names)
    return [StageMaps(stage, maps[0].astype(np.float64)) for stage, maps in found.items()]


def maps_figure(image: NDArray[np.uint8], stages: list[StageMaps]) -> Figure:
    """The image, uint8 H×W×C, beside the strongest feature maps of each stage; of a single stage all.

    Each is scaled on its own from its least to its greatest value.
    """
    return _whole_stage(image, stages[0]) if len(stages) == 1 else _all_stages(image, stages)


def _all_stages(image: NDArray[np.uint8], stages: list[StageMaps]) -> Figure:
    figure = new_figure(10.5, 0.3 + 2.2 * len(stages))
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=[1, 4.4])[0]
    _draw_image(left.subplots(), image)
    panels = right.subplots(len(stages), 1, squeeze=False)[:, 0]
    for axes, stage in zip(panels, stages, strict=True):
        order = stage.strongest(STRONGEST)
        _draw_maps(axes, stage, order, columns=8)
        axes.set_title(_title(stage, len(order)), fontsize=9, loc="left")
    return figure


def _whole_stage(image: NDArray[np.uint8], stage: StageMaps) -> Figure:
    # In their own order: a person looks for a number here.
    order = np.arange(min(len(stage.maps), MOST))
    columns = columns_for(len(order), shape=1.8)
    rows = -(-len(order) // columns)
    width = 9.0
    # 1.3 tiles a row: the tile, and 0.3 for the number above it.
    figure = new_figure(width + 2.2, max(2.4, 0.5 + width / columns * rows * 1.3))
    left, right = figure.subplots(1, 2, width_ratios=[2, width])
    _draw_image(left, image)
    _draw_maps(right, stage, order, columns=columns)
    right.set_title(_title(stage, len(order)), fontsize=9, loc="left")
    return figure


def _title(stage: StageMaps, shown: int) -> str:
    count, height, width = stage.maps.shape
    which = f"the {shown} strongest of {count}" if shown < min(count, MOST) else f"{shown} of {count}"
    return f"{stage.stage}: {which} maps, {height}×{width}, {int(stage.blank.sum())} blank"


def _draw_maps(axes: Axes, stage: StageMaps, order: NDArray[np.int64], *, columns: int) -> None:
    labels = [f"{number}{' blank' if stage.blank[number] else ''}" for number in order]
    # Text shrinks with its tile; below 4 points no number can be read.
    size = float(np.clip(90 / columns, 4, 8))
    draw_mosaic(axes, stretched(stage.maps[order]), columns=columns, labels=labels, cmap="viridis", size=size)


def _draw_image(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.imshow(image[:, :, 0] if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=255)
    axes.set_axis_off()
    axes.set_title("image", fontsize=9)
