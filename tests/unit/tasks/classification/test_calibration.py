from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.decision import Decision
from convscope.tasks.classification.calibration import (
    BINS,
    BOUNDS,
    bin_of,
    calibration,
    chance_ece,
    fit_temperature,
)
from convscope.tasks.classification.metrics import cross_entropy


def answers(n: int, seed: int, classes: int = 4):
    rng = np.random.default_rng(seed)
    return 3 * rng.normal(size=(n, classes)), rng.integers(classes, size=n)


def by_a_loop(logits, labels, temperature: float) -> float:
    """The definition, image after image and bin after bin."""
    sure, right = [], []
    for row, label in zip(logits / temperature, labels, strict=True):
        shares = np.exp(row - max(row))
        shares /= sum(shares)
        sure.append(max(shares))
        right.append(int(np.argmax(row) == label))
    total = 0.0
    for k in range(15):
        inside = [i for i, c in enumerate(sure) if k / 15 < c <= (k + 1) / 15]
        if inside:
            gap = sum(right[i] for i in inside) / len(inside) - sum(sure[i] for i in inside) / len(inside)
            total += len(inside) / len(sure) * abs(gap)
    return total


@given(st.integers(1, 200), st.integers(0, 10**6), st.sampled_from([0.5, 1.0, 2.5]))
def test_it_is_the_definition(n, seed, temperature):
    logits, labels = answers(n, seed)
    assert calibration(logits, labels, Decision(temperature)).ece == pytest.approx(
        by_a_loop(logits, labels, temperature)
    )


@given(st.integers(1, 200), st.integers(0, 10**6))
def test_the_bins_add_up(n, seed):
    logits, labels = answers(n, seed)
    found = calibration(logits, labels, Decision())
    assert len(found.bins) == BINS and sum(b.count for b in found.bins) == n
    there = [b for b in found.bins if b.count]
    assert all(b.low < b.confidence <= b.high + 1e-12 for b in there)
    assert found.accuracy == pytest.approx(sum(b.accuracy * b.count for b in there) / n)
    assert found.confidence == pytest.approx(sum(b.confidence * b.count for b in there) / n)
    assert all(b.confidence is None and b.accuracy is None for b in found.bins if not b.count)


def test_an_answer_that_is_always_sure_and_never_right():
    found = calibration(100 * np.eye(2)[[0, 0, 0]], np.array([1, 1, 1]), Decision())
    assert (found.ece, found.confidence, found.accuracy, found.bins[-1].count) == (1.0, 1.0, 0.0, 3)


def test_edges_belong_to_the_bin_below():
    assert bin_of(np.array([0.2, 0.2 + 1e-9, 1.0, 0.0])).tolist() == [2, 3, 14, 0]


@pytest.mark.slow
@pytest.mark.parametrize("n", [50, 1000, 20_000])
def test_calibrated_answers_stay_below_chance_in_95_of_100_cases(n):
    rng = np.random.default_rng(n)
    confidence = rng.uniform(0.5, 1, n)
    logits = np.stack([np.log(confidence / (1 - confidence)), np.zeros(n)], axis=1)
    below = sum(
        calibration(logits, (rng.random(n) > confidence).astype(int), Decision()).ece
        <= chance_ece(confidence)
        for _ in range(200)
    )
    assert 178 <= below < 200


def test_it_is_written_as_json_without_nan():
    import json

    found = calibration(*answers(5, 0), Decision())
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["ece"] == found.ece and plain["bins"][0]["low"] == 0 and len(plain["bins"]) == 15


def noisy(seed, *, count=60, classes=4, scale=3.0, right=0.7):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, scale, (count, classes))
    labels = np.where(rng.random(count) < right, logits.argmax(1), rng.integers(0, classes, count))
    return logits.astype(np.float32), labels.astype(np.int64)


@pytest.mark.slow
@given(st.integers(0, 10**6), st.floats(0.1, 30), st.floats(0.1, 1))
def test_the_temperature_is_the_best_of_a_fine_grid_and_never_worse_than_one(seed, scale, right):
    logits, labels = noisy(seed, scale=scale, right=right)
    grid = np.geomspace(*BOUNDS, 400)
    losses = [cross_entropy(logits.astype(np.float64) / t, labels) for t in grid]
    t = fit_temperature(logits, labels)
    assert BOUNDS[0] <= t <= BOUNDS[1]
    found = cross_entropy(logits.astype(np.float64) / t, labels)
    assert found <= min(losses) + 1e-4
    assert found <= cross_entropy(logits.astype(np.float64), labels) + 1e-12


def test_a_temperature_changes_no_prediction():
    logits, labels = noisy(0)
    p = Decision(fit_temperature(logits, labels)).probabilities(logits)
    assert np.array_equal(p.argmax(1), logits.argmax(1))


def test_logits_that_are_twice_as_large_get_twice_the_temperature():
    logits, labels = noisy(1, scale=1.0)
    one, two = (fit_temperature(k * logits, labels) for k in (1, 2))
    assert two == pytest.approx(2 * one, rel=1e-2)


def test_a_split_without_an_error_stays_within_bounds():
    logits = 5 * np.eye(3, dtype=np.float32)
    assert BOUNDS[0] <= fit_temperature(logits, np.arange(3)) < 0.2  # the loss is 1e-18 there, and flat


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_images_leave_the_temperature_alone(count):
    assert fit_temperature(np.zeros((count, 2), np.float32), np.zeros(count, np.int64)) == 1.0
