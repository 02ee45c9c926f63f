"""Which class is taken for which: images by cell of the confusion matrix, its figure, and recall by class."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision
from convscope.core.plotting import BLUE, ORANGE, new_figure, short_name
from convscope.tasks.classification.metrics import ClassificationMetrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUMBERED_CLASSES = 25
"""Classes up to which the cells of a confusion matrix show their counts; beyond, digits are too small."""
NAMED_CLASSES = 120
BARS = 100


def most_confident_errors(
    logits: NDArray[Any], labels: NDArray[np.int64], decision: Decision, *, count: int = 20
) -> NDArray[np.int64]:
    """Positions of wrong predictions, the most probable first; of equals the earlier.

    Args:
        logits: N×K.
        labels: N class indices.
        decision: makes probabilities of the logits.
        count: at most so many positions.

    >>> logits = np.log([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    >>> most_confident_errors(logits, np.array([1, 1, 1]), Decision()).tolist()
    [0, 1]
    """
    # Probabilities of the wrong ones alone: they are few.
    wrong = np.flatnonzero(np.asarray(logits).argmax(axis=1) != labels)
    confidence = decision.probabilities(np.asarray(logits)[wrong]).max(axis=1)
    return wrong[np.argsort(-confidence, kind="stable")[:count]]


def cells(
    logits: NDArray[Any], labels: NDArray[np.int64], decision: Decision
) -> dict[tuple[int, int], NDArray[np.int64]]:
    """The images in each cell of the confusion matrix that holds any, row after row.

    Args:
        logits: N×K.
        labels: N class indices.
        decision: makes probabilities of the logits.

    Returns:
        (label, predicted class) to positions, the most probable first.

    >>> images = cells(np.log([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]), np.array([1, 1, 1]), Decision())
    >>> {cell: positions.tolist() for cell, positions in images.items()}
    {(1, 0): [1, 0], (1, 1): [2]}
    """
    z = np.asarray(logits)
    predicted = z.argmax(axis=1)
    confidence = decision.probabilities(z).max(axis=1)
    # One sort puts each cell's images side by side; a mask for each of K² cells would take K² · N steps.
    order = np.lexsort((-confidence, predicted, labels))
    place = labels[order] * z.shape[1] + predicted[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    return {
        (int(labels[group[0]]), int(predicted[group[0]])): group
        for group in np.split(order, starts[1:])
        if len(group)
    }


def confusion_figure(
    confusion: NDArray[np.int64],
    classes: Sequence[str],
    *,
    link: Callable[[int, int], str | None] | None = None,
) -> Figure:
    """The confusion matrix: numbers are images, colour is their fraction of the row.

    Args:
        confusion: counts K×K, a row for each label.
        classes: the K names.
        link: called with row and column; where a click on the cell leads, or None. Only an SVG can hold it.
    """
    from matplotlib.colors import PowerNorm
    from matplotlib.patches import Rectangle

    k = len(classes)
    # It grows with the classes, up to 15 inches: no screen shows more.
    side = float(np.clip(2.6 + 0.42 * k, 4.2, 15.0))
    figure = new_figure(side + 0.9, side)
    axes = figure.subplots()
    totals = confusion.sum(axis=1, keepdims=True)
    fractions = np.divide(confusion, totals, out=np.zeros(confusion.shape), where=totals > 0)
    # The root, because errors are a few per cent and would be white on a linear scale.
    image = axes.imshow(fractions, cmap="Blues", norm=PowerNorm(0.5, vmin=0.0, vmax=1.0))
    if k <= NUMBERED_CLASSES:
        _number_cells(axes, confusion, fractions, size=72 * side / (k + 2))
    for row, column in np.ndindex(k, k):
        if link and (url := link(row, column)):
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor="none", zorder=4, url=url))
    _name_ticks(axes, classes, float(np.clip(72 * (side - 2.2) / max(k, 1) * 0.72, 3.5, 9)))
    axes.set_xlabel("prediction")
    axes.set_ylabel("label")
    figure.colorbar(image, ax=axes, label="share of the label's images", fraction=0.046, pad=0.02)
    return figure


def recall_bars(metrics: ClassificationMetrics) -> Figure:
    """The recall of each class as a bar, lowest first, with the mean; of many classes, the 100 lowest.

    A class without images says so.
    """
    measured = [score.recall for score in metrics.per_class if score.recall is not None]
    every = sorted(metrics.per_class, key=lambda score: math.inf if score.recall is None else score.recall)
    scores = every[:BARS]
    # 0.14 inches a line is what 7-point names need.
    inches, size = (0.28, 8) if len(scores) <= 30 else (0.14, 7)
    figure = new_figure(7, 1.2 + len(scores) * inches)
    axes = figure.subplots()
    for place, score in enumerate(scores):
        recall = 100 * (score.recall or 0.0)
        text = f"{recall:.1f}  of {score.support:,}" if score.support else "no images"
        axes.barh(place, recall, color=BLUE, height=0.75)
        axes.text(102, place, text, va="center", fontsize=7)
    mean = 100 * float(np.mean(measured))
    axes.axvline(mean, color=ORANGE, linewidth=1, linestyle="--", label=f"mean {mean:.1f} %")
    axes.set_yticks(range(len(scores)), [short_name(score.name) for score in scores], fontsize=size)
    # Upside down, so that the lowest recall stands on top.
    axes.set_ylim(len(scores) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel(f"recall, %{'' if scores == every else f' (the {BARS} lowest of {len(every)} classes)'}")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", frameon=False, fontsize=8)
    return figure


def _number_cells(
    axes: Axes, confusion: NDArray[np.int64], fractions: NDArray[np.float64], *, size: float
) -> None:
    """Counts in cells that are `size` points wide; an empty cell stays empty."""
    size = float(np.clip(size / (len(str(confusion.max())) + 1.5), 5, 13))
    for row, column in zip(*np.nonzero(confusion), strict=True):
        # Black on the darkest blue cannot be read.
        colour = "white" if fractions[row, column] > 0.3 else "black"
        text = str(confusion[row, column])
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=size)


def _name_ticks(axes: Axes, classes: Sequence[str], size: float) -> None:
    if len(classes) > NAMED_CLASSES:
        return
    names = [short_name(name) for name in classes]
    # At 45° more than a dozen long names run into each other.
    steep = len(classes) > 12
    axes.set_xticks(range(len(names)), names, rotation=90 if steep else 45, ha="center" if steep else "right",
                    rotation_mode="default" if steep else "anchor", fontsize=size)  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontsize=size)
