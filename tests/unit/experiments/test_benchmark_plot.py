from __future__ import annotations

import random
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from convscope.experiments import benchmark_plot as module
from convscope.experiments.benchmark import BenchmarkEntry
from convscope.experiments.benchmark_plot import LARGEST, benchmark_figure
from convscope.experiments.compare import MeanStd

pytestmark = pytest.mark.slow


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


def ink(path: Path) -> float:
    with Image.open(path) as image:
        assert image.format == "PNG" and 900 <= image.width <= 1400 and image.height >= 500
        return float((np.asarray(image.convert("L")) < 250).mean())


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
    assert ink(benchmark_figure(entries, tmp_path / "c.png", title="tiny, $ & _")) > 0.002


def test_the_area_is_the_rate(kept, tmp_path):
    benchmark_figure([entry("a", 1e4, 0.8, 8000), entry("b", 1e6, 0.9, 2000)], tmp_path / "c.png", title="t")
    sizes = [line.get_markersize() for line in kept[0].axes[0].lines if line.get_alpha()]
    assert sizes == pytest.approx([LARGEST, LARGEST / 2])
    (legend,) = kept[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["5,000", "1,000", "200"]
    shown = [handle.get_markersize() ** 2 for handle in legend.legend_handles]
    assert shown == pytest.approx([LARGEST**2 * rate / 8000 for rate in (5000, 1000, 200)])
    assert "images" in legend.get_title().get_text()


def test_parameters_are_logarithmic_and_points_lie_where_they_should(kept, tmp_path):
    entries = several(4)
    benchmark_figure(entries, tmp_path / "c.png", title="t")
    axes = kept[0].axes[0]
    drawn = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_alpha()]
    assert axes.get_xscale() == "log"
    assert drawn == [(e.mean("parameters"), 100 * e.mean("test_accuracy")) for e in entries]
    low, high = axes.get_ylim()
    assert low < min(y for _, y in drawn) - 0.4 and high > max(y for _, y in drawn) + 0.4


@pytest.mark.parametrize("count", [2, 8, 25])
def test_names_cover_neither_each_other_nor_leave_the_picture(kept, tmp_path, count):
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


def test_bars_are_drawn_for_several_seeds_alone(kept, tmp_path):
    benchmark_figure(
        [entry("a", 1e4, 0.8, 10, sd=0.01), entry("b", 1e6, 0.9, 10)], tmp_path / "c.png", title="t"
    )
    (bar,) = kept[0].axes[0].collections
    assert bar.get_segments()[0][:, 1] == pytest.approx([79, 81])


def test_networks_without_figures_are_named(kept, tmp_path):
    benchmark_figure(
        [*several(2), BenchmarkEntry("vgg11", "vgg11", problem="diverged")], tmp_path / "c.png", title="tiny"
    )
    assert kept[0].axes[0].get_title() == "tiny\nwithout vgg11, which gave no figures"


def test_the_same_contest_is_the_same_picture(tmp_path):
    first = benchmark_figure(several(6), tmp_path / "a.png", title="t").read_bytes()
    assert first == benchmark_figure(several(6), tmp_path / "b.png", title="t").read_bytes()
