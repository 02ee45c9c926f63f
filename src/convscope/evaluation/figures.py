"""Figures of a run. No pyplot, so nothing global; colours that the colour-blind tell apart."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import write_bytes
from convscope.evaluation.metrics import ClassificationMetrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Six of the eight colours of Okabe and Ito 2008, made to be told apart with any colour vision. Their yellow is too
# light for a line, and black is for words.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BLUE, ORANGE, GREY = COLOURS[0], COLOURS[1], "#666666"
DPI = 150
NUMBERED_CLASSES = 25
"""Classes up to which the cells of a confusion matrix show their counts; beyond, digits are too small to read."""
NAMED_CLASSES = 120
BARS = 100


def training_curves(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Loss, accuracy and learning rate over the epochs, from the rows of a history; the best epoch is marked.

    Rows have `epoch` and may have train_loss, validation_loss, train_accuracy, validation_accuracy, lr and `best`, true
    where an epoch was the best so far. Figures that are missing or None leave a gap.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure(11, 3.4)
    loss, accuracy, rate = figure.subplots(1, 3)
    epochs = [row["epoch"] for row in rows]
    best = max((row["epoch"] for row in rows if row.get("best")), default=None)
    for axes, what, scale, label in (
        (loss, "loss", 1.0, "loss (cross-entropy)"),
        (accuracy, "accuracy", 100.0, "accuracy, %"),
    ):
        for split, colour, style in (("train", BLUE, "--"), ("validation", ORANGE, "-")):
            values = _column(rows, f"{split}_{what}", scale)
            if np.isfinite(values).any():
                axes.plot(epochs, values, style, color=colour, label=split, marker=_marker(epochs), markersize=3)
        if best is not None:
            axes.axvline(best, color=GREY, linewidth=0.8, linestyle=":", label=f"best: epoch {best}")
        label_axes(axes, "epoch", label)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=8)
    rate.plot(epochs, _column(rows, "lr"), color=BLUE, marker=_marker(epochs), markersize=3)
    rate.set_ylim(bottom=0)
    label_axes(rate, "epoch", "learning rate")
    for axes in (loss, accuracy, rate):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def confusion_figure(
    confusion: NDArray[np.int64],
    classes: Sequence[str],
    *,
    link: Callable[[int, int], str | None] | None = None,
) -> Figure:
    """The confusion matrix K×K, a row for each label: numbers are images, colour their share of the row, not linear.

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
                    column, row, str(confusion[row, column]), ha="center", va="center", color=colour, fontsize=size
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
        range(len(scores)), [short_name(score.name) for score in scores], fontsize=8 if len(scores) <= 30 else 7
    )
    axes.set_ylim(len(scores) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("recall, %" + (f" (the {BARS} lowest of {len(every)} classes)" if len(every) > BARS else ""))
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", frameon=False, fontsize=8)
    return figure


def rate_curve(rates: Sequence[float], losses: Sequence[float], *, best: float | None = None) -> Figure:
    """Loss over the learning rates that were tried, on a logarithmic axis; `best`: the rate that is suggested.

    The finder of Smith 2015, arXiv 1506.01186. The axis ends as far above the first loss as the lowest lies below
    it: where training flies apart the losses would flatten everything else.
    """
    figure = new_figure(6, 3.6)
    axes = figure.subplots()
    axes.semilogx(rates, losses, color=BLUE)
    finite = [loss for loss in losses if math.isfinite(loss)]
    if finite:
        low, first = min(finite), finite[0]
        high = min(max(finite), first + max(first - low, 0.2 * abs(first)))
        margin = 0.05 * (high - low) or 0.1
        axes.set_ylim(low - margin, high + margin)
    if best is not None:
        axes.axvline(best, color=ORANGE, linestyle="--", linewidth=1, label=f"suggested: {best:.2g}")
        axes.legend(frameon=False, fontsize=8)
    label_axes(axes, "learning rate (logarithmic)", "loss, smoothed")
    return figure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches, at 150 dots an inch."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, layout="constrained")


def save_figure(figure: Figure, path: Path | str) -> Path:
    """Write a figure as PNG, in one step and without its empty margins; returns the path."""
    png = BytesIO()
    draw_figure(figure, png, format="png")
    write_bytes(Path(path), png.getvalue())
    return Path(path)


def draw_figure(figure: Figure, file: IO[Any], **options: Any) -> None:
    """`Figure.savefig` without empty margins; a letter that the font lacks is a box, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        figure.savefig(file, bbox_inches="tight", **options)


def _column(rows: Sequence[Mapping[str, Any]], name: str, scale: float = 1.0) -> NDArray[np.float64]:
    values = [row.get(name) for row in rows]
    return np.array([math.nan if value is None else scale * value for value in values], dtype=np.float64)


def _marker(epochs: Sequence[int]) -> str:
    """One or a few epochs would be no line, or a line without corners."""
    return "o" if len(epochs) <= 15 else ""


def label_axes(axes: Axes, x: str, y: str) -> None:
    """Name both axes, and leave of the frame what helps to read them."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _name_ticks(axes: Axes, classes: Sequence[str], size: float) -> None:
    if len(classes) > NAMED_CLASSES:
        return
    names = [short_name(name) for name in classes]
    steep = len(classes) > 12
    axes.set_xticks(range(len(names)), names, rotation=90 if steep else 45, ha="center" if steep else "right",
                    rotation_mode="default" if steep else "anchor", fontsize=size)  # fmt: skip
    axes.set_yticks(range(len(names)), names, fontsize=size)


def short_name(name: str, limit: int = 22) -> str:
    r"""Names as long as sentences, or of several lines, would leave no room for the figure; $ would begin a formula.

    >>> print(short_name("price\nin $"))
    price in \$
    """
    plain = "".join(letter if letter.isprintable() else " " for letter in name)
    shown = plain if len(plain) <= limit else plain[: limit - 1] + "…"
    return shown.replace("$", r"\$")
