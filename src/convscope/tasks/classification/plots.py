"""Figures of a classifier: its confusion matrix, and the recall of each class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import BLUE, ORANGE, new_figure, short_name
from convscope.tasks.classification.metrics import ClassificationMetrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUMBERED_CLASSES = 25
"""Classes up to which the cells of a confusion matrix show their counts; beyond, digits are too small to
read.
"""
NAMED_CLASSES = 120
BARS = 100


def confusion_figure(
    confusion: NDArray[np.int64],
    classes: Sequence[str],
    *,
    link: Callable[[int, int], str | None] | None = None,
) -> Figure:
    """The confusion matrix K×K, a row for each label: numbers are images, colour their share of the row, not
    linear.

    `link(row, column)`: where a click on a cell leads, or None; only an SVG can hold it.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.patches import Rectangle

    k = len(classes)
    side = float(np.clip(2.6 + 0.42 * k, 4.2, 15.0))
    figure = new_figure(side + 0.9, side)
    axes = figure.subplots()
    totals = confusion.sum(axis=1, keepdims=True)
    shares = np.divide(confusion, totals, out=np.zeros(confusion.shape), where=totals > 0)
    # The root, because mistakes are a few per cent and would be white on a linear scale.
    picture = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, vmin=0.0, vmax=1.0))
    if k <= NUMBERED_CLASSES:
        size = float(np.clip(72 * side / (k + 2) / (len(str(confusion.max())) + 1.5), 5, 13))
        for row, column in np.ndindex(k, k):
            if confusion[row, column]:
                colour = "white" if shares[row, column] > 0.3 else "black"
                axes.text(
                    column,
                    row,
                    str(confusion[row, column]),
                    ha="center",
                    va="center",
                    color=colour,
                    fontsize=size,
                )
    for row, column in np.ndindex(k, k):
        if link and (url := link(row, column)):
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="none", zorder=4, url=url))
    _name_ticks(axes, classes, float(np.clip(72 * (side - 2.2) / max(k, 1) * 0.72, 3.5, 9)))
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    figure.colorbar(picture, ax=axes, label="share of the label's images", fraction=0.046, pad=0.02)
    return figure


def recall_bars(metrics: ClassificationMetrics) -> Figure:
    """The recall of each class as a bar, lowest first, with the mean; of many classes, the 100 lowest.

    A class without images says so.
    """
    every = sorted(metrics.per_class, key=lambda score: math.inf if score.recall is None else score.recall)
    scores = every[:BARS]
    # 0.14 inches a line is what 7-point names need.
    figure = new_figure(7, 1.2 + len(scores) * (0.28 if len(scores) <= 30 else 0.14))
    axes = figure.subplots()
    recalls = [0.0 if score.recall is None else 100 * score.recall for score in scores]
    axes.barh(range(len(scores)), recalls, color=BLUE, height=0.75)
    for place, score in enumerate(scores):
        text = "no images" if score.recall is None else f"{100 * score.recall:.1f}  of {score.support:,}"
        axes.text(102, place, text, va="center", fontsize=7)
    mean = float(np.mean([100 * score.recall for score in every if score.recall is not None]))
    axes.axvline(mean, color=ORANGE, linewidth=1, linestyle="--", label=f"mean {mean:.1f} %")
    axes.set_yticks(
        range(len(scores)),
        [short_name(score.name) for score in scores],
        fontsize=8 if len(scores) <= 30 else 7,
    )
    axes.set_ylim(len(scores) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel(
        "recall, %" + (f" (the {BARS} lowest of {len(every)} classes)" if len(every) > BARS else "")
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", frameon=False, fontsize=8)
    return figure


def _name_ticks(axes: Axes, classes: Sequence[str], size: float) -> None:
    if len(classes) > NAMED_CLASSES:
        return
    names = [short_name(name) for name in classes]
    steep = len(classes) > 12
    axes.set_xticks(range(len(names)), names, rotation=90 if steep else 45, ha="center" if steep else "right",
                    rotation_mode="default" if steep else "anchor", fontsize=size)  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontsize=size)
