from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.config import DecisionConfig
from convscope.core.decision import Decision
from convscope.tasks.classification.fit_decision import fit_decision, fit_threshold


@given(st.integers(1, 300), st.floats(0.05, 0.999), st.sampled_from(["probability", "energy"]))
def test_the_share_that_is_kept_is_what_was_asked_for(n, coverage, score):
    logits = np.random.default_rng(n).normal(size=(n, 4)) * 3
    kept = (~fit_threshold(Decision(1.3, score), logits, coverage=coverage).unknown(logits)).mean()
    assert coverage - 1e-9 <= kept < coverage + 1 / n


def test_of_the_least_coverage_one_answer_is_left():
    logits = np.array([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]])
    assert fit_threshold(Decision(), logits, coverage=1e-12).unknown(logits).tolist() == [False, True, True]


@pytest.mark.parametrize(("logits", "coverage"), [(np.zeros((5, 2)), 1.0), (np.empty((0, 2)), 0.9)])
def test_no_threshold(logits, coverage):
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
