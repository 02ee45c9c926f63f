"""What the layers make of one image: the maps of each stage, the strongest first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.core.plotting import new_figure
from convscope.explanation.feature_visualisation.activations import stage_maps
from convscope.explanation.feature_visualisation.mosaic import columns_for, draw_mosaic, stretched

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRONGEST = 16
MOST = 256
BLANK = 1e-6
"""A map none of whose values reaches this share of the stage's largest is blank for the image."""


@dataclass(frozen=True, eq=False)
class StageMaps:
    """The maps C×h×w that one stage gives for one image."""

    stage: str
    maps: NDArray[np.floating[Any]]

    @property
    def strength(self) -> NDArray[np.floating[Any]]:
        """Mean |value| of each map, C."""
        found: NDArray[np.floating[Any]] = np.abs(self.maps).mean(axis=(1, 2))
        return found

    @property
    def dummy_input(self) -> NDArray[np.bool_]:
        """Which of the C maps hold nothing for this image."""
        peaks = np.abs(self.maps).max(axis=(1, 2))
        found: NDArray[np.bool_] = peaks <= BLANK * peaks.max()
        return found

    def strongest(self, count: int) -> NDArray[np.int64]:
        """The numbers of the strongest maps, the strongest first; equal ones in their order."""
        order: NDArray[np.int64] = np.argsort(-self.strength, kind="stable")[:count]
        return order

    def line(self) -> str:
        """What is to be said of them."""
        count, height, width = self.maps.shape
        return f"{self.stage}: {count} maps of {height}×{width}, {int(self.dummy_input.sum())} blank for this image"


def feature_maps(network: nn.Module, x: Tensor, layers: Iterable[str] | None = None) -> list[StageMaps]:
    """The maps of each stage, or of the named layers, for one image 1×C×H×W, in the order of the calls.

    UserError where nothing that was asked gives maps.

    >>> import torch
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.Flatten())
    >>> [(each.stage, each.maps.shape) for each in feature_maps(net, torch.ones(1, 1, 6, 6))]
    [('0', (2, 4, 4)), ('1', (2, 2, 2))]
    """
    found = stage_maps(network, x, layers)
    return [StageMaps(stage, maps[0].double().cpu().numpy()) for stage, maps in found.items()]


def maps_figure(image: NDArray[np.uint8], stages: list[StageMaps]) -> Figure:
    """The image uint8 H×W×C beside the strongest maps of each stage; of a single stage all its maps,
    numbered.

    Each map is scaled on its own from its least to its greatest value.
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
    order = np.arange(min(len(stage.maps), MOST))
    columns = columns_for(len(order), shape=1.8)
    rows = -(-len(order) // columns)
    width = 9.0
    figure = new_figure(width + 2.2, max(2.4, 0.5 + width / columns * rows * 1.3))
    left, right = figure.subplots(1, 2, width_ratios=[2, width])
    _draw_image(left, image)
    _draw_maps(right, stage, order, columns=columns)
    right.set_title(_title(stage, len(order)), fontsize=9, loc="left")
    return figure


def _title(stage: StageMaps, shown: int) -> str:
    count, height, width = stage.maps.shape
    which = f"the {shown} strongest of {count}" if shown < min(count, MOST) else f"{shown} of {count}"
    return f"{stage.stage}: {which} maps, {height}×{width}, {int(stage.dummy_input.sum())} blank"


def _draw_maps(axes: Axes, stage: StageMaps, order: NDArray[np.int64], *, columns: int) -> None:
    labels = [f"{number}{' blank' if stage.dummy_input[number] else ''}" for number in order]
    size = float(np.clip(90 / columns, 4, 8))
    draw_mosaic(axes, stretched(stage.maps[order]), columns=columns, labels=labels, cmap="viridis", size=size)


def _draw_image(axes: Axes, image: NDArray[np.uint8]) -> None:
    axes.imshow(image[:, :, 0] if image.shape[2] == 1 else image, cmap="gray", vmin=0, vmax=255)
    axes.set_axis_off()
    axes.set_title("image", fontsize=9)
