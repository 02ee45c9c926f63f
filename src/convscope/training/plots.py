"""Figures of a training: its curves, and the loss over the learning rates that a search tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import BLUE, GREY, ORANGE, label_axes, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def training_curves(rows: Sequence[Mapping[str, Any]], *, score: str = "accuracy") -> Figure:
    """Loss, score and learning rate over the epochs, from the rows of a history; the best epoch is marked.

    Args:
        rows: have `epoch` and may have train_loss, validation_loss, train_<score>, validation_<score>, lr and
            `best`, true where an epoch was the best so far. Figures that are missing or None leave a gap.
        score: the name of the task's score, from 0 to 1.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(11, 3.4)
    loss_axes, score_axes, rate_axes = figure.subplots(1, 3)
    loss_label = "loss (cross-entropy)" if score == "accuracy" else "loss"
    _draw_splits(loss_axes, rows, "loss", label=loss_label)
    _draw_splits(score_axes, rows, score, scale=100.0, label=f"{score}, %")
    epochs = [row["epoch"] for row in rows]
    rate_axes.plot(epochs, _column(rows, "lr"), color=BLUE, marker=_marker(epochs), markersize=3)
    rate_axes.set_ylim(bottom=0)  # a schedule is read against zero
    label_axes(rate_axes, "epoch", "learning rate")
    for axes in (loss_axes, score_axes, rate_axes):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def _draw_splits(
    axes: Axes, rows: Sequence[Mapping[str, Any]], figure: str, *, scale: float = 1.0, label: str
) -> None:
    """A curve for training and one for validation, with the best epoch."""
    epochs = [row["epoch"] for row in rows]
    for split, colour, style in (("train", BLUE, "--"), ("validation", ORANGE, "-")):
        values = _column(rows, f"{split}_{figure}", scale)
        if np.isfinite(values).any():
            axes.plot(epochs, values, style, color=colour, label=split, marker=_marker(epochs), markersize=3)
    best = max((row["epoch"] for row in rows if row.get("best")), default=None)
    if best is not None:
        axes.axvline(best, color=GREY, linewidth=0.8, linestyle=":", label=f"best: epoch {best}")
    label_axes(axes, "epoch", label)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)


def rate_curve(rates: Sequence[float], losses: Sequence[float], *, best: float | None = None) -> Figure:
    """Loss over the learning rates that were tried, on a logarithmic axis.

    The finder of Smith 2015, arXiv 1506.01186. The axis ends as far above the first loss as the lowest lies
    below it: where training diverges the losses would flatten everything else.

    Args:
        rates: those that were tried, rising.
        losses: the smoothed loss at each.
        best: the rate that is suggested; None draws no line for it.
    """
    figure = new_figure(6, 3.6)
    axes = figure.subplots()
    axes.semilogx(rates, losses, color=BLUE)
    finite = [loss for loss in losses if math.isfinite(loss)]
    if finite:
        low, first = min(finite), finite[0]
        # A fifth of the first loss at least: where no loss fell the axis would have no height.
        high = min(max(finite), first + max(first - low, 0.2 * abs(first)))
        margin = 0.05 * (high - low) or 0.1
        axes.set_ylim(low - margin, high + margin)
    if best is not None:
        axes.axvline(best, color=ORANGE, linestyle="--", linewidth=1, label=f"suggested: {best:.2g}")
        axes.legend(frameon=False, fontsize=8)
    label_axes(axes, "learning rate (logarithmic)", "loss, smoothed")
    return figure


def _column(rows: Sequence[Mapping[str, Any]], name: str, scale: float = 1.0) -> NDArray[np.float64]:
    # NaN leaves a gap in the line, which an interpolation would hide.
    values = [row.get(name) for row in rows]
    return np.array([math.nan if value is None else scale * value for value in values], dtype=np.float64)


def _marker(epochs: Sequence[int]) -> str:
    """One or a few epochs would be no line, or a line without corners."""
    return "o" if len(epochs) <= 15 else ""
