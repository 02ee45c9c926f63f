"""A benchmark as a chart: parameters against accuracy, with the throughput as the area of each marker."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from convscope.core.plotting import COLOURS, DPI, label_axes, new_figure, save_figure
from convscope.experiments.benchmark import BenchmarkEntry
from convscope.models.spec_text import short_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right and top in pixels."""
Point: TypeAlias = tuple[float, float]

FIGURES = {"parameters", "test_accuracy", "throughput"}
# Diameter of the fastest network's marker in points; at half of that, a network is a quarter as fast.
LARGEST = 30.0
PIXELS = DPI / 72  # a point
# Pixels from a marker up to which its name needs no line to it.
BESIDE = 16.0
# 11 gaps × 16 directions are 176 positions a name; the steps grow, since far positions need no precision.
GAPS = (4.0, 14.0, 28.0, 46.0, 70.0, 100.0, 140.0, 190.0, 250.0, 320.0, 400.0)
# Right of the point first, then left, above and below, then between them: in degrees against the clock.
DIRECTIONS = (0, 180, 90, 270, 45, 315, 135, 225, 20, 340, 160, 200, 65, 295, 115, 245)
# The costs of a pixel of overlap: with another name or beyond the frame, with an error bar, with a disc; and
# of a pixel between a name and its point.
NAME, BAR, DISC, GAP = 50.0, 3.0, 0.2, 0.7


@dataclass(frozen=True)
class _Marker:
    """A network on the chart: `x` parameters, `y` and `deviation` in % of the test images."""

    name: str
    x: float
    y: float
    deviation: float
    diameter: float


def benchmark_figure(entries: Sequence[BenchmarkEntry], path: Path | str, *, title: str) -> Path:
    """Draw the networks that have all of `FIGURES`, and name the others under the title.

    Error bars are the standard deviation over the seeds, where there are several.

    Args:
        entries: any number of networks.
        path: of the PNG file.
        title: one line.

    Returns:
        `path`, of the file that was written.
    """
    drawn = [entry for entry in entries if entry.figures.keys() >= FIGURES]
    figure = new_figure(8, 5.2)
    axes = figure.subplots()
    left_out = ", ".join(entry.name for entry in entries if entry not in drawn)
    note = f"\nwithout {left_out}, which gave no figures" if left_out else ""
    axes.set_title(_plain(title + note), fontsize=10)
    label_axes(axes, "parameters (logarithmic)", "test accuracy, %")
    if drawn:
        _draw(figure, axes, drawn)
    else:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no network came to its end", ha="center", transform=axes.transAxes)
    return save_figure(figure, path)


def place_labels(
    points: Sequence[Point],
    radii: Sequence[float],
    sizes: Sequence[Point],
    *,
    bars: Sequence[Box],
    frame: Box,
) -> list[Box]:
    """Place a name beside each of n points, so that names cover neither each other nor the points.

    One name after the other takes the position that costs least beside what is there already: near its point
    is cheap, over another name very dear. The same input gives the same positions. Everything is in pixels.

    Args:
        points: (x, y) of the n points.
        radii: n, of the discs around them.
        sizes: n widths and heights of the names.
        bars: boxes that names should leave open, such as error bars.
        frame: the box that everything should lie in.

    Returns:
        The n boxes of the names, in their order.

    >>> place_labels([(50, 50)], [10], [(20, 8)], bars=[], frame=(0, 0, 100, 100))
    [(64.0, 46.0, 84.0, 54.0)]
    """
    discs = [(x - r, y - r, x + r, y + r) for (x, y), r in zip(points, radii, strict=True)]
    placed: list[Box] = []

    def cost(candidate: tuple[float, Box]) -> float:
        gap, box = candidate
        outside = _overlap(box, [box]) - _overlap(box, [frame])
        covered = NAME * (outside + _overlap(box, placed)) + BAR * _overlap(box, bars)
        return covered + DISC * _overlap(box, discs) + GAP * gap

    # Greedy, 176 positions a name: the best arrangement of n names would be one of 176 to the power of n.
    for point, radius, size in zip(points, radii, sizes, strict=True):
        # Of equal costs min keeps the first, so that the result does not depend on the machine.
        placed.append(min(_candidates(point, radius, size), key=cost)[1])
    return placed


def _candidates(point: Point, radius: float, size: Point) -> Iterator[tuple[float, Box]]:
    """Boxes around a point, the nearest first: the nearest side or corner of a box is `gap` from the disc."""
    (x, y), (width, height) = point, size
    for gap in GAPS:
        for degrees in DIRECTIONS:
            cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
            left = x + (radius + gap) * cosine + width / 2 * (_sign(cosine) - 1)
            bottom = y + (radius + gap) * sine + height / 2 * (_sign(sine) - 1)
            yield gap, (left, bottom, left + width, bottom + height)


def _sign(value: float) -> int:
    # cos(90°) is 6e-17 in floating point; there the box has to be centred.
    return 0 if abs(value) < 1e-9 else int(math.copysign(1, value))


def _overlap(box: Box, others: Sequence[Box]) -> float:
    """The areas that a box has in common with each of the others, added up, in square pixels."""
    a, b, c, d = box
    return sum(max(0.0, min(c, e[2]) - max(a, e[0])) * max(0.0, min(d, e[3]) - max(b, e[1])) for e in others)


def _draw(figure: Figure, axes: Axes, entries: Sequence[BenchmarkEntry]) -> None:
    fastest = max(entry.figures["throughput"].mean for entry in entries)
    markers = [_marker(entry, fastest) for entry in entries]
    for number, marker in enumerate(markers):
        colour, at = COLOURS[number % len(COLOURS)], (marker.x, marker.y)
        # Transparent: the discs of networks of similar size overlap.
        axes.plot(*at, "o", markersize=marker.diameter, color=colour, alpha=0.35, markeredgewidth=0)
        # A dot for every network: the area of a slow one would be too small to be seen.
        dot: dict[str, Any] = {"fmt": "o", "markersize": 3, "color": colour, "capsize": 3, "elinewidth": 1.2}
        # None for one seed: an error bar of length 0 would claim that the seeds agree.
        axes.errorbar(*at, marker.deviation or None, **dot)
    # Limits come before names, whose positions in pixels depend on them.
    _limit(axes, markers)
    _legend(figure, fastest)
    _write_names(figure, axes, markers)


def _marker(entry: BenchmarkEntry, fastest: float) -> _Marker:
    accuracy = entry.figures["test_accuracy"]
    # The eye compares areas, so that the diameter goes by the root.
    diameter = LARGEST * math.sqrt(entry.figures["throughput"].mean / fastest)
    x, y, deviation = entry.figures["parameters"].mean, 100 * accuracy.mean, 100 * (accuracy.sd or 0.0)
    return _Marker(_plain(entry.name), x, y, deviation, diameter)


def _limit(axes: Axes, markers: Sequence[_Marker]) -> None:
    """Leave room around the points; the axes have at least an octave and a point of accuracy."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    # A factor and not a sum: on a logarithmic axis it leaves the same room on both sides.
    low, high = min(m.x for m in markers) / 1.6, max(m.x for m in markers) * 1.6
    # Beyond about 2.5 decades the numbers 2 and 5 of each decade would collide with the next.
    steps = (1.0,) if high / low > 300 else (1.0, 2.0, 5.0)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(LogLocator(subs=steps))
    axes.xaxis.set_minor_locator(NullLocator())
    short = FuncFormatter(lambda count, _: short_count(count).replace(".00", "").replace(".0", ""))
    axes.xaxis.set_major_formatter(short)
    bottom, top = min(m.y - m.deviation for m in markers), max(m.y + m.deviation for m in markers)
    # At least 0.5: with one network the axis would have no height.
    margin = max(0.15 * (top - bottom), 0.5)
    axes.set_ylim(bottom - margin, top + margin)


def _legend(figure: Figure, fastest: float) -> None:
    """Discs with the rates that they stand for: a round one near the fastest, a fifth and a twenty-fifth."""
    from matplotlib.lines import Line2D

    discs = [
        Line2D([], [], linestyle="", marker="o", color="#666666", alpha=0.5, markeredgewidth=0,
               markersize=LARGEST * math.sqrt(rate / fastest), label=f"{rate:,.0f}")
        for rate in (_round(fastest / part) for part in (1, 5, 25))
    ]  # fmt: skip
    style: dict[str, Any] = {"title": "area:\nthroughput,\nimages/s", "fontsize": 9, "title_fontsize": 9}
    space = {"labelspacing": 1.6, "handletextpad": 1.4, "borderpad": 1.2}
    # "outside" works with the constrained layout only, which makes room for the legend.
    figure.legend(handles=discs, loc="outside right upper", frameon=False, **style, **space)


def _round(rate: float) -> float:
    """The largest of 1, 2 and 5 times a power of ten that is not above `rate`.

    >>> _round(870), _round(1000), _round(0.3)
    (500.0, 1000.0, 0.2)
    """
    power = 10.0 ** math.floor(math.log10(rate))
    # 1 always counts: the logarithm may round up, and then even the power is above the rate.
    return max(power * step for step in (1, 2, 5) if step == 1 or power * step <= rate)


def _write_names(figure: Figure, axes: Axes, markers: Sequence[_Marker]) -> None:
    """Write the names beside their points, with a line to those that are farther away."""
    line = {"arrowstyle": "-", "color": "#999999", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3}
    # in_layout False: the layout would shrink the axes to make room for names that then move.
    style: dict[str, Any] = {"va": "bottom", "fontsize": 9, "in_layout": False, "arrowprops": line}
    labels = [axes.annotate(m.name, (m.x, m.y), (0, 0), textcoords="offset points", **style) for m in markers]
    # The layout moves the axes, so that pixels are known only after it.
    figure.draw_without_rendering()
    points = [_pixels(axes, m.x, m.y) for m in markers]
    tops = [_pixels(axes, m.x, m.y + m.deviation)[1] for m in markers]
    # The accuracy axis is linear, so that the lower end mirrors the upper one.
    bars = [(x - 5, 2 * y - top - 5, x + 5, top + 5) for (x, y), top in zip(points, tops, strict=True)]
    sizes = [(box.width, box.height) for box in (label.get_window_extent() for label in labels)]
    # At least 6 pixels, since the caps of an error bar reach 3 points to each side.
    radii = [max(m.diameter / 2 * PIXELS, 6.0) for m in markers]
    left, bottom, right, top = axes.get_window_extent().extents
    boxes = place_labels(points, radii, sizes, bars=bars, frame=(left, bottom, right, top))
    for label, (x, y), radius, box in zip(labels, points, radii, boxes, strict=True):
        label.set_position(((box[0] - x) / PIXELS, (box[1] - y) / PIXELS))
        distance = math.hypot(max(box[0] - x, 0, x - box[2]), max(box[1] - y, 0, y - box[3])) - radius
        if label.arrow_patch is not None:
            label.arrow_patch.set_visible(distance > BESIDE)


def _pixels(axes: Axes, x: float, y: float) -> Point:
    across, up = axes.transData.transform((x, y))
    return float(across), float(up)


def _plain(text: str) -> str:
    """Text in which $ does not begin a formula."""
    return text.replace("$", r"\$")
