from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from PIL import Image

from convscope.experiments import benchmark_plot as module
from convscope.experiments.benchmark import BenchmarkEntry
from convscope.experiments.benchmark_plot import LARGEST, benchmark_figure, place_labels
from convscope.experiments.compare import MeanStd


def entry(name, parameters, accuracy, rate, sd=None):
    figures = {
        "parameters": MeanStd(1, parameters, None),
        "test_accuracy": MeanStd(3 if sd else 1, accuracy, sd),
        "throughput": MeanStd(1, rate, None),
    }
    return BenchmarkEntry(name, name, (), figures)


def several(count):
    draw = random.Random(count)
    return [
        entry(
            f"network_{n}", 10 ** draw.uniform(4, 8), draw.uniform(0.8, 0.95), 10 ** draw.uniform(1, 5), 0.004
        )
        for n in range(count)
    ]


@pytest.fixture
def kept(monkeypatch):
    """The figures that are drawn, as matplotlib knows them."""
    figures = []
    real = module.new_figure
    monkeypatch.setattr(module, "new_figure", lambda *size: figures.append(real(*size)) or figures[-1])
    return figures


def drawn_fraction(path: Path) -> float:
    with Image.open(path) as image:
        assert image.format == "PNG" and 900 <= image.width <= 1400 and image.height >= 500
        return float((np.asarray(image.convert("L")) < 250).mean())


@pytest.mark.slow
@pytest.mark.parametrize(
    "entries",
    [
        several(5),
        several(1),
        [],
        [BenchmarkEntry("failed", "failed", problem="diverged")],
        [entry("same", 1e6, 0.5, 100), entry("place", 1e6, 0.5, 100)],
        [entry("one", 10, 0.0, 1e-3), entry("$x^2", 2e9, 1.0, 1e7)],
    ],
    ids=["five", "one", "none", "failed", "same", "extremes"],
)
def test_a_picture_is_drawn_whatever_there_is(entries, tmp_path):
    assert drawn_fraction(benchmark_figure(entries, tmp_path / "c.png", title="animals, $ & _")) > 0.002


@pytest.mark.slow
def test_the_area_is_the_rate(kept, tmp_path):
    benchmark_figure([entry("a", 1e4, 0.8, 8000), entry("b", 1e6, 0.9, 2000)], tmp_path / "c.png", title="t")
    sizes = [line.get_markersize() for line in kept[0].axes[0].lines if line.get_alpha()]
    assert sizes == pytest.approx([LARGEST, LARGEST / 2])
    (legend,) = kept[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["5,000", "1,000", "200"]
    sizes = [handle.get_markersize() ** 2 for handle in legend.legend_handles]
    assert sizes == pytest.approx([LARGEST**2 * rate / 8000 for rate in (5000, 1000, 200)])
    assert "images" in legend.get_title().get_text()


@pytest.mark.slow
def test_parameters_are_logarithmic_and_points_lie_where_they_should(kept, tmp_path):
    entries = several(4)
    benchmark_figure(entries, tmp_path / "c.png", title="t")
    axes = kept[0].axes[0]
    drawn = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_alpha()]
    assert axes.get_xscale() == "log"
    assert drawn == [(e.mean("parameters"), 100 * e.mean("test_accuracy")) for e in entries]
    low, high = axes.get_ylim()
    assert low < min(y for _, y in drawn) - 0.4 and high > max(y for _, y in drawn) + 0.4


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 8, 25])
def test_names_neither_cover_each_other_nor_leave_the_picture(kept, tmp_path, count):
    benchmark_figure(several(count), tmp_path / "c.png", title="t")
    axes = kept[0].axes[0]
    assert {text.get_text() for text in axes.texts} == {f"network_{n}" for n in range(count)}
    boxes = [Text.get_window_extent(text) for text in axes.texts]  # without the line to the point
    assert not any(a.padded(-0.5).overlaps(b) for a, b in combinations(boxes, 2))
    frame = axes.get_window_extent().padded(1)
    assert all(
        frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
        for box in boxes
    )


@pytest.mark.slow
def test_bars_are_drawn_for_several_seeds_alone(kept, tmp_path):
    benchmark_figure(
        [entry("a", 1e4, 0.8, 10, sd=0.01), entry("b", 1e6, 0.9, 10)], tmp_path / "c.png", title="t"
    )
    (bar,) = kept[0].axes[0].collections
    assert bar.get_segments()[0][:, 1] == pytest.approx([79, 81])


@pytest.mark.slow
def test_networks_without_figures_are_named(kept, tmp_path):
    benchmark_figure(
        [*several(2), BenchmarkEntry("vgg11", "vgg11", problem="diverged")],
        tmp_path / "c.png",
        title="animals",
    )
    assert kept[0].axes[0].get_title() == "animals\nwithout vgg11, which gave no figures"


@pytest.mark.slow
def test_the_same_benchmark_is_the_same_picture(tmp_path):
    first = benchmark_figure(several(6), tmp_path / "a.png", title="t").read_bytes()
    assert first == benchmark_figure(several(6), tmp_path / "b.png", title="t").read_bytes()


# Names

FRAME = (0.0, 0.0, 900.0, 700.0)
WIDTH, HEIGHT = 120.0, 18.0

inside = st.tuples(st.floats(20, 880), st.floats(20, 680))


def overlap(a, b):
    return max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))


def placed(points, radius=6.0, bars=()):
    sizes = [(WIDTH, HEIGHT)] * len(points)
    return place_labels(points, [radius] * len(points), sizes, bars=bars, frame=FRAME)


@pytest.mark.slow
@given(st.lists(inside, max_size=12))
def test_no_name_covers_another_or_leaves_the_frame(points):
    boxes = placed(points)
    assert all(overlap(a, b) == 0 for a, b in combinations(boxes, 2))
    assert all(b[0] >= -1e-6 and b[1] >= -1e-6 and b[2] <= 900 + 1e-6 and b[3] <= 700 + 1e-6 for b in boxes)


@pytest.mark.slow
@given(inside, st.integers(2, 10))
def test_networks_at_one_and_the_same_point_all_have_a_name(point, count):
    assert all(overlap(a, b) == 0 for a, b in combinations(placed([point] * count), 2))


@pytest.mark.slow
@given(st.lists(inside, min_size=1, max_size=12), st.floats(1, 30))
def test_a_name_keeps_its_size_and_stays_off_its_own_disc(points, radius):
    for (x, y), box in zip(points, placed(points, radius), strict=True):
        assert abs(box[2] - box[0] - WIDTH) < 1e-6 and abs(box[3] - box[1] - HEIGHT) < 1e-6
        away = max(box[0] - x, x - box[2]), max(box[1] - y, y - box[3])
        assert max(away) > 0 and sum(max(side, 0) ** 2 for side in away) ** 0.5 >= radius - 1e-6


def test_a_name_stands_at_the_right_of_its_point_where_nothing_is_in_the_way():
    assert placed([(100, 100)]) == [(110.0, 91.0, 230.0, 109.0)]


def test_a_name_at_the_right_edge_goes_to_the_left():
    ((left, _, right, _),) = placed([(880, 100)])
    assert right == 870 and left == 750


def test_a_name_makes_room_for_an_error_bar():
    bar = (130.0, 50.0, 140.0, 150.0)
    (box,) = placed([(100, 100)], bars=[bar])
    assert overlap(box, bar) == 0


@pytest.mark.slow
def test_the_same_points_give_the_same_positions():
    points = [(50.0 * n % 800 + 20, 37.0 * n % 600 + 20) for n in range(40)]
    assert placed(points) == placed(list(points))


def test_nothing_to_name():
    assert placed([]) == []
