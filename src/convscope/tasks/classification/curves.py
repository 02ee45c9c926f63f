"""ROC and precision–recall curves: each class against all others, at every threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision
from convscope.core.plotting import COLOURS, GREY, label_axes, new_figure, short_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 200
"""Points of a curve that is drawn; a figure is no wider in pixels than a few hundred."""
STYLES = ("-", "--", "-.", ":", "-")
HIGHLIGHTED = len(STYLES)


@dataclass(frozen=True, eq=False)
class ClassCurves:
    """The curves of one class; both areas in [0, 1] are those of the full curves.

    `roc`: (false positive rate, true positive rate), 2×P with P ≤ 200, from (0, 0) to (1, 1), and `auc` under
    it. `precision_recall`: (recall, precision), 2×Q with Q ≤ 200, recall rising, and `average_precision`. All
    are None where all images are of this class, or none is.
    """

    name: str
    support: int
    auc: float | None
    average_precision: float | None
    roc: NDArray[np.float64] | None
    precision_recall: NDArray[np.float64] | None


def class_curves(
    logits: NDArray[Any], labels: NDArray[np.int64], classes: Sequence[str]
) -> tuple[ClassCurves, ...]:
    """The curves of K classes; the score of a class is its softmax probability.

    AUC is the area under straight lines between the thresholds; average precision is Σ (R_n − R_{n−1}) · P_n,
    which draws no line through precisions that were never reached (Davis and Goadrich 2006).

    Args:
        logits: N×K.
        labels: N class indices.
        classes: the K names.

    >>> curves = class_curves(np.log([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]), np.array([0, 0, 1]), ["a", "b"])
    >>> curves[0].auc, round(curves[0].average_precision, 3)
    (0.5, 0.833)
    """
    # Without the temperature, which would leave each class's ranking nearly, and not quite, the same.
    probabilities = Decision().probabilities(logits)
    return tuple(_one(name, probabilities[:, k], labels == k) for k, name in enumerate(classes))


def _one(name: str, scores: NDArray[np.float64], own: NDArray[np.bool_]) -> ClassCurves:
    positives = int(own.sum())
    # With one kind alone there is nothing to tell apart, and a rate would be 0 / 0.
    if positives in {0, len(own)}:
        return ClassCurves(name, positives, None, None, None, None)
    # Stable, so that equal scores keep the order of the images on every machine.
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    # Equal scores pass a threshold together, so only the last of each run is a point.
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    hits = np.cumsum(own[order])[last]
    recall, precision = hits / positives, hits / (last + 1)
    false = (last + 1 - hits) / (len(own) - positives)
    roc = np.stack([np.append(0.0, false), np.append(0.0, recall)])
    return ClassCurves(
        name,
        positives,
        auc=float(np.trapezoid(roc[1], roc[0])),
        average_precision=float((np.diff(recall, prepend=0.0) * precision).sum()),
        roc=thinned(roc),
        precision_recall=thinned(np.stack([np.append(0.0, recall), np.append(precision[0], precision)])),
    )


def thinned(curve: NDArray[np.float64], points: int = POINTS) -> NDArray[np.float64]:
    """Points of a curve, evenly spaced along its way; the ends stay.

    Args:
        curve: 2×P.
        points: at most so many are left.

    >>> thinned(np.array([[0.0, 0.1, 0.5, 1.0], [0.0, 0.0, 0.0, 0.0]]), 3).tolist()
    [[0.0, 0.5, 1.0], [0.0, 0.0, 0.0]]
    """
    if curve.shape[1] <= points:
        return curve
    # Along the way, not along x: a steep curve would lose its corner.
    way = np.append(0.0, np.cumsum(np.abs(np.diff(curve, axis=1)).sum(axis=0)))
    wanted = np.searchsorted(way, np.linspace(0, way[-1], points))
    wanted[-1] = curve.shape[1] - 1
    return curve[:, np.unique(wanted)]


def curves_figure(curves: Sequence[ClassCurves]) -> Figure:
    """ROC on the left, precision–recall on the right; the classes with the lowest areas are named."""
    figure = new_figure(10, 4.6)
    roc, precision = figure.subplots(1, 2)
    roc.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    _draw(roc, [(c.name, c.auc, c.roc) for c in curves], "area under the curve")
    label_axes(roc, "false positive rate, of the other classes' images", "true positive rate")
    _draw(precision, [(c.name, c.average_precision, c.precision_recall) for c in curves], "average precision")
    label_axes(precision, "recall", "precision")
    return figure


def _draw(
    axes: Axes, curves: Sequence[tuple[str, float | None, NDArray[np.float64] | None]], what: str
) -> None:
    # Lowest first: these are the classes that a reader looks for.
    drawn = sorted(
        ((name, area, curve) for name, area, curve in curves if area is not None and curve is not None),
        key=lambda entry: entry[1],
    )
    for _, _, curve in drawn[HIGHLIGHTED:]:
        axes.plot(*curve, color=GREY, linewidth=0.7, alpha=0.4)
    for (name, area, curve), colour, style in zip(drawn[:HIGHLIGHTED], COLOURS, STYLES, strict=False):
        axes.plot(*curve, color=colour, linestyle=style, label=f"{short_name(name)}  {area:.3f}")
    if len(drawn) > HIGHLIGHTED:
        axes.plot([], [], color=GREY, linewidth=0.7, alpha=0.6, label=f"{len(drawn) - HIGHLIGHTED} more")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.02)
    axes.set_aspect("equal")
    if drawn:
        axes.legend(frameon=False, fontsize=8, title=f"{what}, lowest first", title_fontsize=8,
                    loc="lower left" if what.startswith("average") else "lower right")  # fmt: skip
