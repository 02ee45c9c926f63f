"""The filters of the first convolution: what a network looks for in the pixels themselves.

Filters of later layers look at feature maps and not at pixels, so as pictures they say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import BLUE, ORANGE, label_axes, new_figure
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.mosaic import columns_for, draw_mosaic
from convscope.explanation.feature_visualisation.visualiser import visualiser_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NEARLY_ZERO = 0.05
"""A filter whose norm is below this fraction of the largest is nearly zero; hardly anything moves it."""
# 256 filters are 26 columns of 0.35 inches; more would be too small to read.
MOST = 256


@dataclass(frozen=True, eq=False)
class Filters:
    """The filters of the convolution `layer`, float F×C×h×w, as they are in the network."""

    layer: str
    weights: NDArray[np.floating[Any]]

    @property
    def norms(self) -> NDArray[np.floating[Any]]:
        """√Σw² of each filter, F."""
        found: NDArray[np.floating[Any]] = np.sqrt((self.weights**2).sum(axis=(1, 2, 3)))
        return found

    @property
    def dead(self) -> NDArray[np.bool_]:
        """Which of the F filters are nearly zero."""
        found: NDArray[np.bool_] = self.norms <= NEARLY_ZERO * self.norms.max()
        return found

    def tiles(self) -> NDArray[np.floating[Any]]:
        """Filters as pictures, 0 to 1, F×h×w, or F×h×w×3 where they look at three colours.

        Each is scaled on its own and symmetrically, so that 0 is a middle grey. Where a filter looks at
        another number of channels, each channel is a picture of its own: F·C×h×w.
        """
        # Symmetric, so that a weight of 0 is the same grey in every filter.
        largest = np.abs(self.weights).max(axis=(1, 2, 3), keepdims=True)
        # A filter of zeros becomes the middle grey; 0 / 0 would be NaN.
        scaled = 0.5 + 0.5 * np.divide(
            self.weights, largest, out=np.zeros_like(self.weights), where=largest > 0
        )
        # Three channels are taken for red, green and blue; of the first convolution they are.
        if scaled.shape[1] == 3:
            last: NDArray[np.floating[Any]] = scaled.transpose(0, 2, 3, 1)
            return last
        flat: NDArray[np.floating[Any]] = scaled.reshape(-1, *scaled.shape[2:])
        return flat

    def lines(self) -> tuple[str, ...]:
        """Their number and size, and which are nearly zero, for a person."""
        count, channels, height, width = self.weights.shape
        dead = np.flatnonzero(self.dead)
        which = f": {', '.join(map(str, dead[:12]))}{'…' if len(dead) > 12 else ''}" if len(dead) else ""
        are = "is" if len(dead) == 1 else "are"
        return (
            f"{count} filters of {height}×{width} over {channels} channel{'s' * (channels != 1)}, "
            f"layer {self.layer}",
            f"{len(dead)} of {count} filters {are} nearly zero{which} "
            f"(norm below {NEARLY_ZERO:.0%} of the largest)",
        )


def first_filters(model: ExplainedModel) -> Filters:
    """The filters of the first convolution that an image comes to; UserError where there is none."""
    return Filters(*visualiser_of(model).first_filters(model.blank_input))


def filters_figure(filters: Filters) -> Figure:
    """The filters, numbered, and the norm of each below, in another colour where it is nearly zero."""
    tiles = filters.tiles()[:MOST]
    columns = columns_for(len(tiles), shape=2.6)
    rows = -(-len(tiles) // columns)
    width = 9.0
    high = 0.3 + width / columns * rows * 1.1
    figure = new_figure(width, high + 1.7)
    grid, bars = figure.subplots(2, 1, height_ratios=[high, 1.7])
    labels = [str(number) for number in range(len(tiles))]
    draw_mosaic(grid, tiles, columns=columns, labels=labels, size=float(np.clip(90 / columns, 4, 9)))
    grid.set_title(_title(filters, len(tiles)), fontsize=9, loc="left")
    norms, dead = filters.norms, filters.dead
    numbers = np.arange(len(norms))
    bars.bar(numbers[~dead], norms[~dead], color=BLUE, width=0.8)
    bars.bar(numbers[dead], norms[dead], color=ORANGE, width=0.8)
    # A bar of no height cannot be seen, so a cross marks it.
    bars.plot(numbers[dead], np.zeros(int(dead.sum())), "x", color=ORANGE, clip_on=False, label="nearly zero")
    # 0.4 of free space beside the first and the last bar, which are 0.8 wide.
    bars.set_xlim(-0.8, len(norms) - 0.2)
    label_axes(bars, "filter", "norm")
    if dead.any():
        bars.legend(frameon=False, fontsize=8)
    return figure


def _title(filters: Filters, shown: int) -> str:
    count, channels = filters.weights.shape[:2]
    each = "each scaled on its own, middle grey is 0"
    # Here each channel has a tile of its own, so kernels are counted and not filters.
    if channels not in (1, 3):
        return f"{filters.layer}: the first {shown} of {count}×{channels} kernels; {each}"
    some = f"the first {shown} of {count} filters" if shown < count else f"all {count} filters"
    return f"{filters.layer}: {some}; {each}"
