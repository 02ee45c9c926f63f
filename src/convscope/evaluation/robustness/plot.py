"""Accuracy over the strength of each corruption, as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convscope.core.plotting import COLOURS, GREY, label_axes, new_figure
from convscope.evaluation.robustness.measure import STRENGTHS, Robustness

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EIGHT = (*COLOURS, GREY, "#8C6D00")
STYLES = ("-", "--")
LETTER = 0.042
"""Height of a name, as a share of the axis."""


def robustness_figure(found: Robustness) -> Figure:
    """A line for each corruption, named at its end; the dotted line is the accuracy of the images as they
    are.
    """
    figure = new_figure(7.2, 4.8)
    axes = figure.subplots()
    lines = found.accuracies()
    low = min(min(values) for values in lines.values())
    floor = max(0.0, 100 * low - 5)
    ceiling = max(100 * max(max(values) for values in lines.values()) + 2, floor + 10)
    axes.axhline(100 * found.clean, color=GREY, linewidth=0.8, linestyle=":")
    places = spread([100 * values[-1] for values in lines.values()], gap=LETTER * (ceiling - floor))
    for number, ((name, values), place) in enumerate(zip(lines.items(), places, strict=True)):
        colour = EIGHT[number % len(EIGHT)]
        percent = [100 * value for value in values]
        axes.plot(
            (0, *STRENGTHS),
            percent,
            STYLES[number % 2],
            color=colour,
            marker="o",
            markersize=3,
            linewidth=1.4,
        )
        line = {
            "arrowstyle": "-",
            "color": colour,
            "linewidth": 1,
            "shrinkA": 0,
            "shrinkB": 2,
            "relpos": (0, 0.5),
        }
        text, beside = f"{name} {percent[-1]:.0f}", (STRENGTHS[-1] + 0.18, place)
        end = (STRENGTHS[-1], percent[-1])
        axes.annotate(text, end, beside, va="center", fontsize=8, annotation_clip=False, arrowprops=line)
    axes.set_xlim(-0.1, STRENGTHS[-1] + 1.15)
    axes.set_ylim(floor, ceiling)
    axes.set_xticks((0, *STRENGTHS), ["clean", *map(str, STRENGTHS)])
    label_axes(axes, "strength of the damage", "accuracy, %")
    images = f"{found.images:,} image{'s' * (found.images != 1)}"
    axes.set_title(f"{images}, {found.clean:.1%} clean, {found.mean:.1%} on average when damaged", fontsize=9)
    return figure


def spread(places: list[float], *, gap: float) -> list[float]:
    """The places, moved apart so that neighbours are at least `gap` away from each other; their order stays.

    Those that touch are laid out evenly around their middle, as blocks that grow until none touches another.

    >>> spread([50.0, 50.0, 90.0], gap=4)
    [48.0, 52.0, 90.0]
    """
    order = sorted(range(len(places)), key=lambda place: places[place])
    blocks: list[tuple[float, int]] = []  # middle, and how many names it holds
    for index in order:
        middle, size = places[index], 1
        while blocks and middle - blocks[-1][0] < gap * (size + blocks[-1][1]) / 2:
            before, held = blocks.pop()
            middle, size = (middle * size + before * held) / (size + held), size + held
        blocks.append((middle, size))
    moved = [middle + gap * (k - (size - 1) / 2) for middle, size in blocks for k in range(size)]
    return [moved[order.index(index)] for index in range(len(places))]
