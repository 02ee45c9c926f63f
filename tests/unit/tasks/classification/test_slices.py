from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.tasks.classification.slices import (
    EXTREMES,
    FEWEST,
    chance_of_errors,
    failing_slices,
    image_statistics,
)
from rounding import same_but_for_rounding


def random_answers(n: int, seed: int, *, classes: int = 5, accuracy: float = 0.85):
    rng = np.random.default_rng(seed)
    statistics = {"brightness": rng.normal(100, 30, n), "contrast": rng.normal(50, 10, n)}
    return rng.random(n) < accuracy, rng.integers(classes, size=n), statistics


CLASSES = ["ant", "bee", "cow", "dog", "emu"]


@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 60), st.integers(0, 60))
def test_the_chance_is_that_of_scipy(images, rest, errors, others):
    from scipy.stats import hypergeom

    errors, others = min(errors, images), min(others, rest)
    exact = hypergeom.sf(errors - 1, images + rest, errors + others, images)
    assert chance_of_errors(errors, others, images=images, rest=rest) == pytest.approx(
        exact, rel=1e-8, abs=1e-300
    )


@pytest.mark.parametrize("seed", range(5))
def test_a_planted_slice_is_found_and_comes_first(seed):
    right, labels, statistics = random_answers(2500, seed)
    dark = (statistics["brightness"] < np.quantile(statistics["brightness"], 1 / 3)) & (labels == 2)
    right[dark] = np.random.default_rng(seed).random(dark.sum()) < 0.4
    first = failing_slices(right, labels, classes=CLASSES, statistics=statistics)[0]
    assert first.name == "the darkest third of cow" and first.rest == "the rest of cow"
    assert np.isin(first.positions, np.flatnonzero(dark)).mean() > 0.9
    assert first.accuracy == right[first.positions].mean() and first.gap > 0.3
    rest = np.setdiff1d(np.flatnonzero(labels == 2), first.positions)
    assert first.rest_accuracy == right[rest].mean()
    assert str(first).startswith(
        f"the darkest third of cow: {first.accuracy:.0%} of {len(first.positions)} right, "
    )


def test_a_planted_class_and_a_planted_folder_are_found():
    right, labels, statistics = random_answers(2000, 1)
    right[labels == 3] &= np.arange((labels == 3).sum()) % 2 == 0
    names = [f"{'night' if i % 7 == 0 else 'day'}/{i}.png" for i in range(2000)]
    night = np.arange(0, 2000, 7)
    right[night] &= night % 3 == 0
    found = {
        one.name: one
        for one in failing_slices(right, labels, classes=CLASSES, statistics=statistics, names=names)
    }
    assert "dog" in found and found["the folder night"].positions.tolist() == night.tolist()
    assert "the folder day" not in found


@pytest.mark.slow
def test_random_errors_raise_no_alarm_in_95_of_100_cases():
    """100 draws; of 50 tests each none may be significant. 5 are expected to be, 12 is three deviations
    more."""
    alarms = 0
    for seed in range(100):
        right, labels, statistics = random_answers(1500, 100 + seed)
        alarms += bool(failing_slices(right, labels, classes=CLASSES, statistics=statistics))
    assert alarms <= 12


def test_a_folder_that_is_a_class_is_not_said_twice():
    right, labels, _ = random_answers(600, 2)
    right[labels == 0] = False
    names = [f"photos/{CLASSES[k]}/{i}.png" for i, k in enumerate(labels)]
    assert [
        one.name for one in failing_slices(right, labels, classes=CLASSES, statistics={}, names=names)
    ] == ["ant"]


@pytest.mark.parametrize(("n", "ok"), [(FEWEST - 1, False), (FEWEST, True)])
def test_too_few_images_are_no_slice(n, ok):
    labels = np.repeat([0, 1], [n, 200])
    assert bool(failing_slices(labels == 1, labels, classes=["a", "b"], statistics={})) == ok


@pytest.mark.parametrize("right", [np.ones(300, bool), np.zeros(300, bool), np.ones(0, bool)])
def test_all_right_all_wrong_or_nothing_at_all(right):
    statistics = {"brightness": np.zeros(len(right))}
    assert failing_slices(right, np.zeros(len(right), int), classes=["a", "b"], statistics=statistics) == ()


def test_at_most_ten_the_largest_gap_first_and_as_json():
    labels = np.repeat(np.arange(40), 100)
    right = np.arange(4000) % 100 >= labels  # class k has k % errors
    found = failing_slices(right, labels, classes=[f"<b>{k}$" for k in range(40)], statistics={})
    assert len(found) == 10 and found[0].name == "<b>39$"
    assert [one.gap for one in found] == sorted((one.gap for one in found), reverse=True)
    plain = json.loads(json.dumps([one.to_dict() for one in found], allow_nan=False))
    assert plain[0]["images"] == 100 and plain[0]["accuracy"] == 0.61


@pytest.mark.parametrize("channels", [1, 3])
def test_images_look_as_they_were_made(channels):
    rng = np.random.default_rng(0)
    grey = np.full((12, 20, 24, channels), 100, np.uint8)
    bright, noisy = grey + 100, grey + rng.integers(-60, 60, (12, 20, 24, 1)).astype(np.int8).astype(np.uint8)
    soft = np.broadcast_to(np.linspace(40, 160, 24).astype(np.uint8)[:, None], grey.shape)
    statistics = image_statistics([grey, bright, noisy, soft])
    least = {name: values.reshape(4, 12).mean(axis=1).argsort()[0] for name, values in statistics.items()}
    most = {name: values.reshape(4, 12).mean(axis=1).argsort()[-1] for name, values in statistics.items()}
    assert most["brightness"] == 1 and least["contrast"] in {0, 1} and most["sharpness"] == 2
    assert statistics["sharpness"][36] < statistics["sharpness"][24] and statistics["contrast"][36] > 30
    assert set(statistics) == set(EXTREMES) - ({"colourfulness"} if channels == 1 else set())
    assert all(np.isfinite(values).all() and len(values) == 48 for values in statistics.values())


def test_colour_counts_as_colour():
    images = np.zeros((2, 8, 8, 3), np.uint8) + 90
    images[1, :, :4, 0] = 250
    statistics = image_statistics([images])
    assert statistics["colourfulness"][0] == 0 and statistics["colourfulness"][1] > 50


def test_lots_and_batches_change_nothing():
    images = np.random.default_rng(1).integers(0, 255, (9, 300, 260, 3), np.uint8)
    at_once, one_by_one = image_statistics([images]), image_statistics([image[None] for image in images])
    for name in EXTREMES:
        assert same_but_for_rounding(at_once[name], one_by_one[name])
    assert image_statistics([]) == {}
    assert image_statistics([np.zeros((1, 1, 1, 1), np.uint8)])["sharpness"].tolist() == [0]
