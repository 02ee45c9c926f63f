"""Figures of how far a prediction may be trusted: calibration, and risk over coverage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import BLUE, GREY, ORANGE, label_axes, new_figure
from convscope.tasks.classification.calibration import BINS, Calibration
from convscope.tasks.classification.selective import RiskCoverage, Selective

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 400
WITHIN_95 = 1.96
"""Standard deviations around the mean that hold 95 % of a normal distribution."""


def reliability_figure(before: Calibration, after: Calibration) -> Figure:
    """Accuracy over confidence, and below it how many predictions each bin holds.

    A point is a bin, and its bar the 95 % interval of its accuracy; on the dotted line 0.9 means nine in ten.

    Args:
        before: without the temperature.
        after: with it.
    """
    figure = new_figure(8.6, 5.2)
    # Equal axes side by side, so that the two curves can be compared by eye.
    grid = figure.subplots(2, 2, sharex=True, sharey="row", gridspec_kw={"height_ratios": (3.4, 1)})
    sides = (("without temperature", before), ("as the network answers", after))
    for column, (title, side) in enumerate(sides):
        _reliability(grid[0, column], side, title)
        counts = np.array([entry.count for entry in side.bins])
        middles = 100 * (np.arange(BINS) + 0.5) / BINS
        grid[1, column].bar(middles, 100 * counts / max(1, counts.sum()), width=90 / BINS, color=GREY)
        label_axes(grid[1, column], "probability of the answer, %", "")
    grid[0, 0].set_ylabel("right answers, %")
    grid[1, 0].set_ylabel("answers, %")
    return figure


def _reliability(axes: Axes, side: Calibration, title: str) -> None:
    points = [(b.confidence, b.accuracy, b.count) for b in side.bins if b.confidence is not None]
    confidence, accuracy, count = (np.array(column, np.float64) for column in zip(*points, strict=True))
    # One more right and one more wrong prediction, so that the bar of a single one is not of length 0.
    rough = (accuracy * count + 1) / (count + 2)
    half = WITHIN_95 * np.sqrt(rough * (1 - rough) / count)
    ends = np.stack([np.minimum(half, accuracy), np.minimum(half, 1 - accuracy)])
    axes.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle=":")
    axes.errorbar(100 * confidence, 100 * accuracy, 100 * ends, fmt="o-", color=BLUE, markersize=4,
                  linewidth=1.2, elinewidth=0.8, ecolor=BLUE, capsize=2)  # fmt: skip
    label_axes(axes, "", "")
    # A point at 100 % would be cut in half.
    axes.set_xlim(0, 101)
    axes.set_ylim(-2, 102)
    axes.set_title(title, fontsize=10)
    gap = 100 * (side.confidence - side.accuracy)
    direction = f"{abs(gap):.1f} points too {'sure' if gap > 0 else 'unsure'} on average"
    text = f"ECE {100 * side.ece:.2f} %\n{direction}\n(chance alone: up to {100 * side.chance:.2f} %)"
    # Below the line on the right lie only predictions that are sure and mostly wrong, which are few.
    axes.text(99, 1, text, ha="right", va="bottom", fontsize=8)


def risk_coverage_figure(curves: Mapping[str, RiskCoverage], chosen: Selective) -> Figure:
    """The error among the predictions that are kept, over the fraction that is kept.

    Args:
        curves: one a score, by its name; that of the decision is drawn in colour, the others grey.
        chosen: the decision's own score and threshold, which is marked.
    """
    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    for name, curve in curves.items():
        points = thinned_points(curve)
        colour, style, width = (BLUE, "-", 1.6) if name == chosen.score else (GREY, "--", 1.0)
        axes.plot(100 * curve.coverage[points], 100 * curve.risk[points], style, color=colour,
                  linewidth=width, label=f"by {name}, area {100 * curve.aurc:.2f} %")  # fmt: skip
    if chosen.threshold is not None and chosen.risk is not None:
        label = f"threshold: {chosen.coverage:.1%} answered, {chosen.risk:.1%} of them wrong"
        axes.plot(100 * chosen.coverage, 100 * chosen.risk, "o", color=ORANGE, markersize=7, label=label)
    axes.set_xlim(0, 101)
    # A network without an error has an empty curve, which needs some height all the same.
    axes.set_ylim(0, max(1.05 * axes.dataLim.ymax, 1))
    label_axes(axes, "answers kept, the surest first, %", "wrong among them, %")
    axes.legend(frameon=False, fontsize=8)
    return figure


def thinned_points(curve: RiskCoverage, least: float = 0.005) -> NDArray[np.int64]:
    """Which points are drawn: about 400, from a coverage of `least` on.

    >>> len(thinned_points(RiskCoverage(np.arange(1, 10_001) / 10_000, np.zeros(10_000), 0.0)))
    400
    """
    # Among the first few predictions a single error is a peak that dwarfs the rest of the curve.
    first = min(int(np.searchsorted(curve.coverage, least)), len(curve.coverage) - 1)
    return np.unique(np.linspace(first, len(curve.coverage) - 1, POINTS).round().astype(np.int64))
