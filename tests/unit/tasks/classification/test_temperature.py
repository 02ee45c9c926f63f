from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.decision import Decision
from convscope.tasks.classification.metrics import cross_entropy
from convscope.tasks.classification.temperature import BOUNDS, fit_temperature


def data(seed, *, count=60, classes=4, scale=3.0, right=0.7):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, scale, (count, classes))
    labels = np.where(rng.random(count) < right, logits.argmax(1), rng.integers(0, classes, count))
    return logits.astype(np.float32), labels.astype(np.int64)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.floats(0.1, 30), st.floats(0.1, 1))
def test_it_is_the_best_of_a_fine_grid_and_never_worse_than_one(seed, scale, right):
    logits, labels = data(seed, scale=scale, right=right)
    grid = np.geomspace(*BOUNDS, 400)
    losses = [cross_entropy(logits.astype(np.float64) / t, labels) for t in grid]
    t = fit_temperature(logits, labels).temperature
    assert BOUNDS[0] <= t <= BOUNDS[1]
    found = cross_entropy(logits.astype(np.float64) / t, labels)
    assert found <= min(losses) + 1e-4
    assert found <= cross_entropy(logits.astype(np.float64), labels) + 1e-12


def test_no_answer_changes():
    logits, labels = data(0)
    p = fit_temperature(logits, labels).probabilities(logits)
    assert np.array_equal(p.argmax(1), logits.argmax(1))


def test_logits_that_are_twice_as_large_get_twice_the_temperature():
    logits, labels = data(1, scale=1.0)
    one, two = (fit_temperature(k * logits, labels).temperature for k in (1, 2))
    assert two == pytest.approx(2 * one, rel=1e-2)


def test_a_split_without_an_error_stays_within_bounds():
    logits = 5 * np.eye(3, dtype=np.float32)
    assert (
        BOUNDS[0] <= fit_temperature(logits, np.arange(3)).temperature < 0.2
    )  # the loss is 1e-18 there, and flat


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_leave_it_alone(count):
    assert fit_temperature(np.zeros((count, 2), np.float32), np.zeros(count, np.int64)) == Decision()
