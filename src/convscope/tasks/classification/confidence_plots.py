"""Pictures of how far an answer may be trusted: calibration, and what answering only where sure would
bring.
"""

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
SURE = 1.96
"""Standard deviations of 95 % of a normal distribution."""


def reliability_figure(before: Calibration, after: Calibration) -> Figure:
    """Accuracy over confidence without and with the temperature, and below how many answers each bin holds.

    A point is a bin, and its bar the 95 % interval of its accuracy; on the dotted line 0.9 means nine in ten.
    """
    figure = new_figure(8.6, 5.2)
    grid = figure.subplots(2, 2, sharex=True, sharey="row", gridspec_kw={"height_ratios": (3.4, 1)})
    for column, (title, found) in enumerate(
        (("without temperature", before), ("as the network answers", after))
    ):
        _reliability(grid[0, column], found, title)
        counts = np.array([entry.count for entry in found.bins])
        middles = 100 * (np.arange(BINS) + 0.5) / BINS
        grid[1, column].bar(middles, 100 * counts / max(1, counts.sum()), width=90 / BINS, color=GREY)
        label_axes(grid[1, column], "probability of the answer, %", "")
    grid[0, 0].set_ylabel("right answers, %")
    grid[1, 0].set_ylabel("answers, %")
    return figure


def _reliability(axes: Axes, found: Calibration, title: str) -> None:
    points = [(b.confidence, b.accuracy, b.count) for b in found.bins if b.confidence is not None]
    confidence, accuracy, count = (np.array(column, np.float64) for column in zip(*points, strict=True))
    # One more right and one more wrong answer, so that the bar of a single answer is not of length 0.
    rough = (accuracy * count + 1) / (count + 2)
    spread = SURE * np.sqrt(rough * (1 - rough) / count)
    ends = np.stack([np.minimum(spread, accuracy), np.minimum(spread, 1 - accuracy)])
    axes.plot([0, 100], [0, 100], color=GREY, linewidth=0.8, linestyle=":")
    axes.errorbar(100 * confidence, 100 * accuracy, 100 * ends, fmt="o-", color=BLUE, markersize=4, linewidth=1.2,
                  elinewidth=0.8, ecolor=BLUE, capsize=2)  # fmt: skip
    label_axes(axes, "", "")
    axes.set_xlim(0, 101)
    axes.set_ylim(-2, 102)
    axes.set_title(title, fontsize=10)
    by = 100 * (found.confidence - found.accuracy)
    word = f"{abs(by):.1f} points too {'sure' if by > 0 else 'unsure'} on average"
    text = f"ECE {100 * found.ece:.2f} %\n{word}\n(chance alone: up to {100 * found.chance:.2f} %)"
    # Below the line on the right lie only answers that are sure and mostly wrong.
    axes.text(99, 1, text, ha="right", va="bottom", fontsize=8)


def risk_coverage_figure(curves: Mapping[str, RiskCoverage], found: Selective) -> Figure:
    """The error among the answers that are kept, over the share that is kept; the chosen threshold is marked.

    `curves`: one a score, by its name; that of the decision in colour, the others grey.
    """
    figure = new_figure(6.4, 4.2)
    axes = figure.subplots()
    for name, curve in curves.items():
        own = name == found.score
        shown = thinned_points(curve)
        colour, style, width = (BLUE, "-", 1.6) if own else (GREY, "--", 1.0)
        label = f"by {name}, area {100 * curve.aurc:.2f} %"
        axes.plot(
            100 * curve.coverage[shown],
            100 * curve.risk[shown],
            style,
            color=colour,
            linewidth=width,
            label=label,
        )
    if found.threshold is not None and found.risk is not None:
        axes.plot(100 * found.coverage, 100 * found.risk, "o", color=ORANGE, markersize=7,
                  label=f"threshold: {found.coverage:.1%} answered, {found.risk:.1%} of them "
                        f"wrong")  # fmt: skip
    axes.set_xlim(0, 101)
    axes.set_ylim(0, max(1.05 * axes.dataLim.ymax, 1))
    label_axes(axes, "answers kept, the surest first, %", "wrong among them, %")
    axes.legend(frameon=False, fontsize=8)
    return figure


def thinned_points(curve: RiskCoverage, least: float = 0.005) -> NDArray[np.int64]:
    """Which of the points are drawn: about 400, from half a per cent of the answers on; before, one error is
    a peak.

    >>> len(thinned_points(RiskCoverage(np.arange(1, 10_001) / 10_000, np.zeros(10_000), 0.0)))
    400
    """
    first = min(int(np.searchsorted(curve.coverage, least)), len(curve.coverage) - 1)
    return np.unique(np.linspace(first, len(curve.coverage) - 1, POINTS).round().astype(np.int64))
