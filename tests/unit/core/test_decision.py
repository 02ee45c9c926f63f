from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp, softmax

from convscope.core.decision import Decision
from convscope.core.errors import UserError

logits = arrays(np.float64, (4, 5), elements=st.floats(-1e3, 1e3))


@given(logits, st.floats(0.05, 20))
def test_probabilities_are_those_of_scipy_and_no_answer_changes(z, temperature):
    p = Decision(temperature).probabilities(z)
    np.testing.assert_allclose(p, softmax(z / temperature, axis=1), rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(p.sum(axis=1), 1)
    assert (np.take_along_axis(p, z.argmax(axis=1)[:, None], 1)[:, 0] == p.max(axis=1)).all()


def test_logits_as_large_as_float32_has_them():
    assert Decision(0.05).probabilities(np.array([[3e38, -3e38]], np.float32)).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_a_temperature_that_is_none_is_refused(temperature):
    with pytest.raises(UserError, match="must be a number above 0"):
        Decision(temperature)


@pytest.mark.parametrize("temperature", ["1", None, [1], {}])
def test_what_is_no_number_is_refused_too(temperature):
    with pytest.raises(UserError, match="must be a number above 0"):
        Decision(temperature)


def test_round_trip():
    assert Decision.from_dict(Decision(1.7, "energy", 0.5).to_dict()) == Decision(1.7, "energy", 0.5)


@given(logits)
def test_energy_is_the_log_sum_of_scipy(z):
    np.testing.assert_allclose(Decision(3.0, "energy").scores(z), logsumexp(z, axis=1), rtol=1e-12, atol=1e-9)


@given(logits, st.floats(0.2, 1))
def test_unknown_is_what_lies_below_the_threshold(z, threshold):
    decision = Decision(2.0, "probability", threshold)
    assert (
        decision.unknown(z) == (softmax(z / 2, axis=1).max(axis=1) < threshold)
    ).mean() >= 0.75  # but for rounding
    assert not Decision(2.0).unknown(z).any()


def test_what_is_no_number_is_unknown():
    with np.errstate(invalid="ignore"):
        assert Decision(threshold=0.0).unknown(np.array([[np.nan, 1.0], [1.0, 0.0]])).tolist() == [
            True,
            False,
        ]


@pytest.mark.parametrize("wrong", [{"score": "entropy"}, {"threshold": "high"}, {"threshold": float("nan")}])
def test_a_bundle_may_hold_anything(wrong):
    with pytest.raises(UserError):
        Decision.from_dict({"temperature": 1.0} | wrong)


def test_a_decision_from_before_unknown():
    assert Decision.from_dict({"temperature": 1.5}) == Decision(1.5)
