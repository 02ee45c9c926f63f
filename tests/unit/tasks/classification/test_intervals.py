from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.decision import Decision
from convscope.core.errors import Failure, UserError
from convscope.tasks.classification import intervals as module
from convscope.tasks.classification.calibration import calibration
from convscope.tasks.classification.intervals import intervals
from convscope.tasks.classification.metrics import classification_metrics

NAMES = ("top1", "loss", "macro_f1", "ece")


def answers(n: int, *, seed: int, sure: float = 1.0, classes: int = 3):
    """Logits N×K and labels that are drawn from their softmax; the logits are then `sure` times too large."""
    rng = np.random.default_rng(seed)
    logits = 1.5 * rng.normal(size=(n, classes))
    shares = Decision().probabilities(logits).cumsum(axis=1)
    return sure * logits, (rng.random((n, 1)) > shares[:, :-1]).sum(axis=1)


def measured(logits, labels) -> dict[str, float]:
    m = classification_metrics(logits, labels, [str(k) for k in range(logits.shape[1])])
    return {
        "top1": m.top1,
        "loss": m.loss,
        "macro_f1": m.macro_f1,
        "ece": calibration(logits, labels, Decision()).ece,
    }


@pytest.mark.slow
@pytest.mark.parametrize(("sure", "n"), [(1.0, 150), (1.6, 150)])
def test_the_truth_lies_inside_in_about_95_of_100_cases(sure, n):
    """200 draws of so many images; the truth is that of 300,000. 95 % of 200 is 190, four deviations below
    are 178.
    """
    truth = measured(*answers(300_000, seed=9, sure=sure))
    inside = dict.fromkeys(NAMES, 0)
    for seed in range(200):
        found = intervals(*answers(n, seed=10 + seed, sure=sure), resamples=300, seed=seed)
        for name in NAMES:
            inside[name] += found[name].low <= truth[name] <= found[name].high
    assert all(count >= 178 for count in inside.values()), inside
    assert all(inside[name] < 200 for name in NAMES[:3]), "intervals that always hold the truth are too wide"


@pytest.mark.slow
def test_they_are_what_a_plain_loop_gives():
    logits, labels = answers(80, seed=1)
    rng = np.random.default_rng(5)
    loop = [
        measured(logits[drawn], labels[drawn]) for drawn in (rng.integers(80, size=80) for _ in range(1500))
    ]
    found = intervals(logits, labels, resamples=4000)
    for name in NAMES[:3]:
        low, high = np.quantile([row[name] for row in loop], (0.025, 0.975))
        assert found[name] == pytest.approx((low, high), abs=0.12 * (high - low))


@settings(max_examples=30)
@given(st.integers(1, 60), st.integers(2, 9), st.integers(0, 999))
def test_they_hold_what_was_measured_and_stay_in_range(n, classes, seed):
    logits, labels = answers(n, seed=seed, classes=classes)
    found, truth = intervals(logits, labels, resamples=300, seed=seed), measured(logits, labels)
    assert ("top5" in found) == (classes > 5)
    assert all(low <= high for low, high in found.values())
    assert found["top1"].low <= truth["top1"] <= found["top1"].high
    assert found["ece"].low <= truth["ece"]
    assert all(low >= 0 and high <= 1 for name, (low, high) in found.items() if name != "loss")


def test_one_image_twice_is_the_same_figure_whatever_is_drawn():
    found = intervals(np.log([[0.6, 0.4]] * 2), [0, 0], resamples=50)
    assert found["macro_f1"] == (1, 1)
    assert found["loss"] == pytest.approx((-np.log(0.6),) * 2)


@pytest.mark.parametrize("n", [1, 30, 500])
def test_nothing_but_right_answers_prove_no_perfection(n):
    """The ends are those of the binomial test: a share at which n of n, or 0 of n, is seen in one case of
    forty.
    """
    from scipy.stats import binomtest

    right, wrong = (intervals(np.eye(7)[[0] * n], [label] * n) for label in (0, 6))
    for found, hits in ((right["top1"], n), (right["top5"], n), (wrong["top1"], 0), (wrong["top5"], 0)):
        assert found == pytest.approx(tuple(binomtest(hits, n).proportion_ci(0.95)))


def test_more_images_make_them_narrower_by_the_root():
    few, many = (intervals(*answers(n, seed=2))["top1"] for n in (400, 6400))
    assert (few.high - few.low) / (many.high - many.low) == pytest.approx(4, rel=0.2)


def test_the_seed_decides_and_the_chunks_do_not(monkeypatch):
    logits, labels = answers(50, seed=3)
    once = intervals(logits, labels)
    assert once == intervals(logits, labels) != intervals(logits, labels, seed=1)
    monkeypatch.setattr(module, "MAX_COUNTS", 51)
    found = intervals(logits, labels)
    for name in NAMES:
        assert found[name] == pytest.approx(once[name], abs=0.05)


def test_the_temperature_moves_the_calibration_alone():
    logits, labels = answers(500, seed=4, sure=4.0)
    plain, cooled = intervals(logits, labels), intervals(logits, labels, decision=Decision(4.0))
    assert cooled["ece"].high < plain["ece"].low
    assert cooled["top1"] == plain["top1"] and cooled["loss"] == plain["loss"]


def test_a_thousand_classes_do_not_need_the_memory_of_their_confusion_matrix():
    rng = np.random.default_rng(0)
    labels = rng.integers(1000, size=3000)
    logits = rng.normal(size=(3000, 1000)) + 4 * np.eye(1000)[labels]
    assert intervals(logits, labels, resamples=60)["macro_f1"].low > 0.3


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(UserError, match="no images"):
        intervals(np.empty((0, 3)), [])
    with pytest.raises(UserError, match="labels run from 0 to 2"):
        intervals(np.zeros((2, 2)), [0, 2])
    with pytest.raises(Failure, match="NaN"):
        intervals(np.full((2, 2), np.nan), [0, 1])
