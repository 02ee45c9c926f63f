from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.config import DecisionConfig
from convscope.core.decision import Decision
from convscope.tasks.classification.selective import fit_decision, fit_threshold, risk_coverage, selective


def answers(n: int, seed: int):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, 3))
    shares = Decision().probabilities(logits).cumsum(axis=1)
    return logits, (rng.random((n, 1)) > shares[:, :-1]).sum(axis=1)


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40))
def test_every_point_is_what_a_threshold_does(pairs):
    """Few scores, so that many are equal."""
    scores, right = np.array([float(s) for s, _ in pairs]), np.array([r for _, r in pairs])
    curve = risk_coverage(scores, right)
    thresholds = sorted(set(scores), reverse=True)
    assert len(curve.coverage) == len(thresholds)
    for t, coverage, risk in zip(thresholds, curve.coverage, curve.risk, strict=True):
        kept = scores >= t
        assert coverage == pytest.approx(kept.mean()) and risk == pytest.approx((~right[kept]).mean())
    assert curve.coverage[-1] == 1 and curve.risk[-1] == pytest.approx((~right).mean())
    assert curve.aurc == pytest.approx(np.mean([(~right[scores >= s]).mean() for s in scores]))


@given(st.integers(1, 80), st.integers(0, 10**6))
def test_no_score_is_better_than_the_best(n, seed):
    logits, labels = answers(n, seed)
    right = logits.argmax(axis=1) == labels
    found = selective(logits, labels, Decision())
    assert found.best_aurc <= found.aurc + 1e-12
    perfect = risk_coverage(right + np.random.default_rng(seed).random(n) / 2, right).aurc
    assert found.best_aurc == pytest.approx(perfect)


def test_a_score_that_knows_nothing_reaches_the_error():
    right = np.random.default_rng(0).random(20_000) < 0.7
    assert risk_coverage(np.random.default_rng(1).random(20_000), right).aurc == pytest.approx(0.3, abs=0.02)
    assert risk_coverage(np.zeros(20_000), right).aurc == pytest.approx((~right).mean())


@pytest.mark.parametrize("score", ["probability", "energy"])
def test_the_threshold_lies_on_the_curve(score):
    logits, labels = answers(400, 3)
    decision = fit_threshold(Decision(1.5, score), logits, coverage=0.8)
    found = selective(logits, labels, decision)
    curve = risk_coverage(decision.scores(logits), logits.argmax(axis=1) == labels)
    place = np.flatnonzero(np.isclose(curve.coverage, found.coverage))
    assert (found.score, found.coverage) == (score, 0.8) and curve.risk[place] == pytest.approx([found.risk])


def test_without_a_threshold_and_with_one_that_nothing_reaches():
    logits, labels = answers(50, 1)
    everything = selective(logits, labels, Decision())
    assert everything.coverage == 1 and everything.risk == pytest.approx((logits.argmax(1) != labels).mean())
    nothing = selective(logits, labels, Decision(threshold=1.1))
    assert (nothing.coverage, nothing.risk) == (0.0, None)
    assert nothing.to_dict()["aurc"] == everything.aurc


@given(st.integers(1, 300), st.floats(0.05, 0.999), st.sampled_from(["probability", "energy"]))
def test_the_fraction_that_is_kept_is_what_was_asked_for(n, coverage, score):
    logits = np.random.default_rng(n).normal(size=(n, 4)) * 3
    kept = (~fit_threshold(Decision(1.3, score), logits, coverage=coverage).unknown(logits)).mean()
    assert coverage - 1e-9 <= kept < coverage + 1 / n


def test_of_the_least_coverage_one_prediction_is_left():
    logits = np.array([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    assert fit_threshold(Decision(), logits, coverage=1e-12).unknown(logits).tolist() == [False, True, True]


@pytest.mark.parametrize(("logits", "coverage"), [(np.zeros((5, 2)), 1.0), (np.empty((0, 2)), 0.9)])
def test_everything_or_nothing_gives_no_threshold(logits, coverage):
    assert fit_threshold(Decision(threshold=0.3), logits, coverage=coverage).threshold is None


def test_equal_scores_stand_or_fall_together():
    assert not fit_threshold(Decision(), np.zeros((10, 3)), coverage=0.5).unknown(np.zeros((10, 3))).any()


def test_the_whole_decision_is_fitted_on_the_same_images():
    logits = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32) * 5
    decision = fit_decision(
        logits, logits.argmax(axis=1) * (np.arange(200) % 2), DecisionConfig(0.9, "probability")
    )
    assert decision.temperature > 1 and decision.score == "probability"
    assert (~decision.unknown(logits)).mean() == pytest.approx(0.9)
