"""A benchmark on one picture: parameters against accuracy, with the answering rate as the area of each
marker.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from convscope.core.plotting import COLOURS, DPI, label_axes, new_figure, save_figure
from convscope.experiments.benchmark import BenchmarkEntry
from convscope.experiments.label_placement import place_labels
from convscope.models.spec_text import short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

LARGEST = 30.0
"""Diameter of the fastest network's marker in points; at half of that, a network is a quarter as fast."""
PIXELS = DPI / 72  # a point
BESIDE = 16.0
"""Pixels from a marker up to which its name needs no line to it."""


def benchmark_figure(entries: Sequence[BenchmarkEntry], path: Path | str, *, title: str) -> Path:
    """Draw the networks that have figures; those that have not are named under the title.

    Needed of each are the figures parameters, test_accuracy and throughput. Bars are the standard deviation
    over the seeds, where there are several.
    """
    drawn = [e for e in entries if {"parameters", "test_accuracy", "throughput"} <= e.figures.keys()]
    figure = new_figure(8, 5.2)
    axes = figure.subplots()
    left_out = ", ".join(_plain(e.name) for e in entries if e not in drawn)
    axes.set_title(
        _plain(title) + (f"\nwithout {left_out}, which gave no figures" if left_out else ""), fontsize=10
    )
    label_axes(axes, "parameters (logarithmic)", "test accuracy, %")
    if drawn:
        _draw(figure, axes, drawn)
    else:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no network came to its end", ha="center", transform=axes.transAxes)
    return save_figure(figure, path)


def _draw(figure: Figure, axes: Axes, drawn: Sequence[BenchmarkEntry]) -> None:
    places = [(e.figures["parameters"].mean, 100 * e.figures["test_accuracy"].mean) for e in drawn]
    deviations = [100 * (e.figures["test_accuracy"].sd or 0.0) for e in drawn]
    rates = [e.figures["throughput"].mean for e in drawn]
    diameters = [LARGEST * math.sqrt(rate / max(rates)) for rate in rates]
    for number, ((x, y), deviation, diameter) in enumerate(zip(places, deviations, diameters, strict=True)):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(x, y, "o", markersize=diameter, color=colour, alpha=0.35, markeredgewidth=0)
        # A dot for every network: the area of a slow one would be too small to be seen.
        axes.errorbar(x, y, deviation or None, fmt="o", markersize=3, color=colour, capsize=3, elinewidth=1.2)
    _limit(
        axes,
        [x for x, _ in places],
        [y + s * d for (_, y), d in zip(places, deviations, strict=True) for s in (-1, 1)],
    )
    _legend(figure, rates)
    _name(figure, axes, [e.name for e in drawn], places=places, deviations=deviations, diameters=diameters)


def _limit(axes: Axes, xs: Sequence[float], ys: Sequence[float]) -> None:
    """Room around the points, and ticks as people write counts; at least an octave and a point of
    accuracy.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(xs) / 1.6, max(xs) * 1.6
    steps = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda count, _: short_count(count).replace(".00", "").replace(".0", ""))
    )
    margin = max(0.15 * (max(ys) - min(ys)), 0.5)
    axes.set_ylim(min(ys) - margin, max(ys) + margin)


def _legend(figure: Figure, rates: Sequence[float]) -> None:
    """Discs with the rates that they stand for: a round one near the fastest, a fifth and a twenty-fifth."""
    from matplotlib.lines import Line2D

    fastest = max(rates)
    shown = [_round(fastest / share) for share in (1, 5, 25)]
    discs = [
        Line2D([], [], linestyle="", marker="o", color="#666666", alpha=0.5, markeredgewidth=0,
               markersize=LARGEST * math.sqrt(rate / fastest), label=f"{rate:,.0f}")
        for rate in shown
    ]  # fmt: skip
    title = "area:\nimages\nanswered\na second"
    space = {"labelspacing": 1.6, "handletextpad": 1.4, "borderpad": 1.2}
    figure.legend(
        handles=discs,
        title=title,
        loc="outside right upper",
        frameon=False,
        fontsize=9,
        title_fontsize=9,
        **space,
    )


def _round(rate: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above `rate`.

    >>> _round(870), _round(1000), _round(0.3)
    (500.0, 1000.0, 0.2)
    """
    power = 10.0 ** math.floor(math.log10(rate))
    return max(power * step for step in (1, 2, 5) if step == 1 or power * step <= rate)


def _name(
    figure: Figure,
    axes: Axes,
    names: Sequence[str],
    *,
    places: Sequence[tuple[float, float]],
    deviations: Sequence[float],
    diameters: Sequence[float],
) -> None:
    """Write the names beside their points, with a line to those that had to go farther away."""
    line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
    labels: list[Annotation] = [
        axes.annotate(
            _plain(name),
            place,
            (0, 0),
            textcoords="offset points",
            va="bottom",
            fontsize=9,
            in_layout=False,
            arrowprops=line,
        )
        for name, place in zip(names, places, strict=True)
    ]
    figure.draw_without_rendering()  # from here on it is settled where each point lies
    points, tops = (
        [(float(x), float(y)) for x, y in axes.transData.transform(where)]
        for where in (
            places,
            [(x, y + deviation) for (x, y), deviation in zip(places, deviations, strict=True)],
        )
    )
    marks = [(x - 5, 2 * y - top - 5, x + 5, top + 5) for (x, y), (_, top) in zip(points, tops, strict=True)]
    sizes = [(box.width, box.height) for box in (label.get_window_extent() for label in labels)]
    radii = [max(diameter / 2 * PIXELS, 6.0) for diameter in diameters]
    left, bottom, right, top = axes.get_window_extent().extents
    boxes = place_labels(points, radii, sizes, marks=marks, frame=(left, bottom, right, top))
    for label, (x, y), radius, box in zip(labels, points, radii, boxes, strict=True):
        label.set_position(((box[0] - x) / PIXELS, (box[1] - y) / PIXELS))
        way = math.hypot(max(box[0] - x, 0, x - box[2]), max(box[1] - y, 0, y - box[3])) - radius
        if label.arrow_patch is not None:
            label.arrow_patch.set_visible(way > BESIDE)


def _plain(text: str) -> str:
    """Text in which $ is no formula."""
    return text.replace("$", r"\$")
