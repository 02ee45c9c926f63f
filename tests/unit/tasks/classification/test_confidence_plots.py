from __future__ import annotations

import numpy as np
import pytest

from convscope.core.decision import Decision
from convscope.core.plotting import save_figure
from convscope.tasks.classification.calibration import calibration
from convscope.tasks.classification.confidence_plots import (
    reliability_figure,
    risk_coverage_figure,
    thinned_points,
)
from convscope.tasks.classification.selective import risk_coverage, selective
from pixels import ink


def answers(n: int):
    rng = np.random.default_rng(n)
    labels = rng.integers(4, size=n)
    return 4 * rng.normal(size=(n, 4)) + 3 * np.eye(4)[labels], labels


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 500])
def test_reliability_of_one_answer_and_of_many(n, tmp_path):
    logits, labels = answers(n)
    before, after = (calibration(logits, labels, Decision(t)) for t in (1.0, 3.0))
    figure = reliability_figure(before, after)
    assert ink(save_figure(figure, tmp_path / "r.png")) > 0.01
    texts = [axes.texts[0].get_text() for axes in figure.axes[:2]]
    assert f"ECE {100 * before.ece:.2f} %" in texts[0] and f"ECE {100 * after.ece:.2f} %" in texts[1]
    assert "too sure" in texts[0] or before.confidence <= before.accuracy


def test_the_points_are_those_of_the_bins():
    logits, labels = answers(300)
    found = calibration(logits, labels, Decision())
    line = reliability_figure(found, found).axes[0].lines[1]
    there = [b for b in found.bins if b.count]
    np.testing.assert_allclose(line.get_xdata(), [100 * b.confidence for b in there])
    np.testing.assert_allclose(line.get_ydata(), [100 * b.accuracy for b in there])


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [None, 0.6, 1.1])
@pytest.mark.parametrize("n", [1, 700])
def test_risk_over_coverage_with_and_without_a_threshold(n, threshold, tmp_path):
    logits, labels = answers(n)
    right = logits.argmax(axis=1) == labels
    decision = Decision(threshold=threshold)
    curves = {s: risk_coverage(Decision(score=s).scores(logits), right) for s in ("probability", "energy")}
    found = selective(logits, labels, decision)
    figure = risk_coverage_figure(curves, found)
    assert ink(save_figure(figure, tmp_path / "r.png")) > 0.005
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert any("threshold" in text for text in legend) == (threshold is not None and found.risk is not None)


@pytest.mark.slow
@pytest.mark.parametrize("right", [True, False])
def test_no_error_lies_on_the_axis_and_nothing_else_leaves_the_figure(right):
    curve = risk_coverage(np.arange(50.0), np.full(50, right))
    axes = risk_coverage_figure({"probability": curve}, selective(*answers(50), Decision())).axes[0]
    low, high = axes.get_ylim()
    assert low == 0 and high >= 1  # per cent; of no error at all the axis once went to 0.05
    assert right or high > 100


def test_points_are_thinned_and_the_last_one_stays():
    curve = risk_coverage(np.random.default_rng(0).random(5000), np.ones(5000, bool))
    shown = thinned_points(curve)
    assert len(shown) == 400 and curve.coverage[shown[0]] >= 0.005 and curve.coverage[shown[-1]] == 1
