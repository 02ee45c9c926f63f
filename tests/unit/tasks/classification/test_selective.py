from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.decision import Decision
from convscope.tasks.classification.fit_decision import fit_threshold
from convscope.tasks.classification.selective import risk_coverage, selective


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
