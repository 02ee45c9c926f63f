from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.decision import Decision
from convscope.core.plotting import save_figure
from convscope.tasks.classification.curves import POINTS, class_curves, curves_figure, thinned
from pixels import ink


def answers(n: int, seed: int, *, classes: int = 3, levels: int | None = None):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=n)
    logits = rng.normal(size=(n, classes)) + 1.5 * np.eye(classes)[labels]
    return (logits if levels is None else np.round(levels * logits) / levels), labels


@pytest.mark.slow
@given(st.integers(2, 200), st.integers(0, 10**6), st.sampled_from([None, 1, 4]))
def test_areas_and_points_are_those_of_scikit_learn(n, seed, levels):
    from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

    logits, labels = answers(n, seed, levels=levels)
    probabilities = Decision().probabilities(logits)
    for k, found in enumerate(class_curves(logits, labels, "abc")):
        own = labels == k
        assert found.support == own.sum()
        if own.all() or not own.any():
            assert found.auc is found.average_precision is found.roc is found.precision_recall is None
            continue
        assert found.auc == pytest.approx(roc_auc_score(own, probabilities[:, k]))
        assert found.average_precision == pytest.approx(average_precision_score(own, probabilities[:, k]))
        if n < POINTS:
            false, true, _ = roc_curve(own, probabilities[:, k], drop_intermediate=False)
            np.testing.assert_allclose(found.roc, [false, true], atol=1e-12)
            precision, recall, _ = precision_recall_curve(own, probabilities[:, k])
            np.testing.assert_allclose(
                found.precision_recall[:, 1:], [recall[-2::-1], precision[-2::-1]], atol=1e-12
            )


def test_what_is_drawn_is_short_and_lies_on_the_full_curve():
    logits, labels = answers(5000, 1)
    for found in class_curves(logits, labels, "abc"):
        for curve in (found.roc, found.precision_recall):
            assert 100 < curve.shape[1] <= POINTS and (np.diff(curve[0]) >= 0).all()
        assert found.roc[:, 0].tolist() == [0, 0] and found.roc[:, -1].tolist() == [1, 1]
        assert np.trapezoid(found.roc[1], found.roc[0]) == pytest.approx(found.auc, abs=0.005)


@given(st.integers(2, 500), st.integers(2, 50), st.integers(0, 999))
def test_thinning_keeps_the_ends_and_invents_nothing(n, points, seed):
    curve = np.sort(np.random.default_rng(seed).random((2, n)), axis=1)
    found = thinned(curve, points)
    assert found.shape[1] <= max(points, 2)
    assert found[:, 0].tolist() == curve[:, 0].tolist() and found[:, -1].tolist() == curve[:, -1].tolist()
    assert {tuple(p) for p in found.T.tolist()} <= {tuple(p) for p in curve.T.tolist()}


@pytest.mark.slow
@pytest.mark.parametrize("classes", [["a", "b"], ["<b>$x$", "a" * 300, "=1+1", "d", "e", "f", "g"]])
def test_figures_with_hostile_names_and_empty_classes(classes, tmp_path):
    logits, labels = answers(60, 2, classes=len(classes))
    logits, labels = logits[labels > 0], labels[labels > 0]
    figure = curves_figure(class_curves(logits, labels, classes))
    assert ink(save_figure(figure, tmp_path / "curves.png")) > 0.01


def test_nothing_to_draw(tmp_path):
    figure = curves_figure(class_curves(np.zeros((3, 2)), np.zeros(3, int), ["a", "b"]))
    assert ink(save_figure(figure, tmp_path / "curves.png")) > 0.001
