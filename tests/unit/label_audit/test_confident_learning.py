from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.label_audit.confident_learning import confident_learning


def by_the_paper(p, labels, classes):
    """Section 3 of the paper with exact fractions and plain loops: thresholds, joint, and the
    images that both rules choose.

    With what the module says it adds: no threshold below 1/K, ties for the label, undecided classes on the
    diagonal, and nobody for whom the label is as likely. Halves are rounded to the even number.
    """
    p = [[Fraction(value) for value in row] for row in p]
    thresholds = []
    for k in range(classes):
        own = [row[k] for row, label in zip(p, labels, strict=True) if label == k]
        thresholds.append(max(sum(own) / len(own), Fraction(1, classes)) if own else math.inf)
    confident = joint_of(p, labels, thresholds)
    wanted = [[Fraction(0)] * classes for _ in range(classes)]
    for i, j in product(range(classes), repeat=2):
        row = confident[i] if sum(confident[i]) else [int(i == k) for k in range(classes)]
        wanted[i][j] = Fraction(row[j], sum(row)) * labels.count(i)
    joint = [[float(value / max(1, len(labels))) for value in row] for row in wanted]
    return [float(t) for t in thresholds], confident, joint, chosen_by_both(p, labels, wanted)


def joint_of(p, labels, thresholds):
    classes = len(thresholds)
    confident = [[0] * classes for _ in range(classes)]
    for row, label in zip(p, labels, strict=True):
        able = [k for k in range(classes) if row[k] >= thresholds[k]]
        if able:
            most = max(row[k] for k in able)
            place = label if label in able and row[label] == most else min(k for k in able if row[k] == most)
            confident[label][place] += 1
    return confident


def chosen_by_both(p, labels, wanted):
    by_class, by_rate = set(), {}
    for i, j in product(range(len(wanted)), repeat=2):
        mine = [x for x, label in enumerate(labels) if label == i]
        if i == j:
            by_class |= set(sorted(mine, key=lambda x: p[x][i])[: round(sum(wanted[i]) - wanted[i][i])])
            continue
        for x in sorted(mine, key=lambda x: p[x][i] - p[x][j])[: round(wanted[i][j])]:
            by_rate.setdefault(x, []).append(j)
    best = {x: max(by_rate[x], key=lambda j: p[x][j]) for x in by_class & by_rate.keys()}
    return {x: j for x, j in best.items() if p[x][j] > p[x][labels[x]]}


@st.composite
def predictions(draw):
    """Probabilities in sixteenths, so that ties and equal thresholds are common and exact in binary."""
    classes, count = draw(st.integers(2, 5)), draw(st.integers(0, 14))
    rows = []
    for _ in range(count):
        cuts = sorted(draw(st.lists(st.integers(0, 16), min_size=classes - 1, max_size=classes - 1)))
        rows.append(np.diff([0, *cuts, 16]) / 16)
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=count, max_size=count))
    return np.array(rows).reshape(count, classes), np.array(labels, np.int64)


def simulated(count, classes, wrong, *, seed=0):
    """Predictions of a good network (97 % right and more), and labels of which a fraction `wrong` is changed.

    A network trained on such labels learns the noise as well, so it gives every class a little of what was
    changed.
    """
    random = np.random.default_rng(seed)
    truth = random.integers(classes, size=count)
    logits = random.normal(size=(count, classes)) + (4 + np.log(classes)) * np.eye(classes)[truth]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    p = (1 - wrong) * p + wrong / classes
    labels, where = truth.copy(), np.flatnonzero(random.random(count) < wrong)
    labels[where] = (truth[where] + random.integers(1, classes, len(where))) % classes
    return p, labels, where


@pytest.mark.slow
@settings(max_examples=200)
@given(predictions())
def test_as_written_from_the_paper(drawn):
    p, labels = drawn
    found = confident_learning(p, labels)
    thresholds, confident, joint, chosen = by_the_paper(p, labels.tolist(), p.shape[1])
    assert np.allclose(found.thresholds, thresholds)
    assert found.confident_joint.tolist() == confident
    assert np.allclose(found.joint, joint)
    assert {s.position: s.suggested for s in found.issues} == chosen


@given(predictions())
def test_what_always_holds(drawn):
    p, labels = drawn
    found = confident_learning(p, labels)
    assert found.joint.sum() == pytest.approx(1 if len(p) else 0)
    assert np.allclose(found.joint.sum(axis=1), np.bincount(labels, minlength=p.shape[1]) / max(1, len(p)))
    assert -1e-9 <= found.wrong_fraction <= 1
    assert sum(row.issues for row in found.per_class) == len(found.issues)
    assert sum(row.wrong_fraction * row.images for row in found.per_class) == pytest.approx(
        found.wrong_fraction * len(p)
    )
    assert [s.p_label for s in found.issues] == sorted(s.p_label for s in found.issues)
    for s in found.issues:
        assert s.label == labels[s.position] != s.suggested and s.p_suggested > s.p_label
        assert (s.p_label, s.p_suggested) == (p[s.position, s.label], p[s.position, s.suggested])


def test_the_order_of_the_images_decides_nothing():
    p, labels, _ = simulated(500, 4, 0.1)
    order = np.random.default_rng(1).permutation(500)
    a, b = confident_learning(p, labels), confident_learning(p[order], labels[order])
    assert np.array_equal(a.confident_joint, b.confident_joint) and a.issues
    assert [s.position for s in a.issues] == [int(order[s.position]) for s in b.issues]


@pytest.mark.parametrize("classes", [2, 3, 10, 100])
def test_planted_errors_are_found(classes):
    p, labels, wrong = simulated(4000, classes, 0.05)
    found = confident_learning(p, labels)
    listed = np.array([s.position for s in found.issues])
    assert np.isin(wrong, listed).mean() > 0.75  # recall
    assert np.isin(listed[: len(wrong)], wrong).mean() > 0.85  # precision where the list is worst
    assert np.isin(listed, wrong).mean() > 0.6


def test_the_fraction_of_wrong_labels_is_estimated():
    for wrong in (0.05, 0.1, 0.2):
        p, labels, where = simulated(8000, 5, wrong)
        assert confident_learning(p, labels).wrong_fraction == pytest.approx(len(where) / 8000, abs=0.03)


def test_where_no_label_is_wrong_there_are_few_issues():
    p, labels, _ = simulated(4000, 10, 0.0)
    found = confident_learning(p, labels)
    assert len(found.issues) < 0.03 * 4000 and found.wrong_fraction < 0.03
    sure = confident_learning(np.eye(10)[labels], labels)
    assert sure.issues == () and sure.wrong_fraction == 0


def test_the_class_that_wrong_labels_come_from_is_named():
    p, labels, _ = simulated(3000, 3, 0.0)
    labels = np.where((labels == 2) & (np.arange(3000) % 4 == 0), 0, labels)  # a quarter of class 2
    rows = confident_learning(p, labels).per_class
    assert rows[0].likeliest == 2 and rows[0].wrong_fraction == pytest.approx(0.2, abs=0.04)
    assert rows[1].wrong_fraction < 0.04


def test_a_class_of_low_confidence_is_not_all_issues():
    """Its images get 0.55 for class 0, which is more than for their own and too little for one of class 0."""
    p = np.array([[0.9, 0.1]] * 8 + [[0.55, 0.45]] * 8)
    labels = np.array([0] * 8 + [1] * 8)
    found = confident_learning(p, labels)
    assert found.issues == () and np.allclose(found.thresholds, [0.9, 0.5])


def test_a_class_that_was_not_learnt_is_suggested_to_nobody():
    """One image of class 2, and networks that saw none of it: its threshold alone would be 0.001."""
    p = np.array([[0.7, 0.298, 0.002]] * 5 + [[0.9, 0.098, 0.002]] * 5 + [[0.1, 0.899, 0.001]] * 10)
    labels = np.array([0] * 10 + [1] * 9 + [2])
    found = confident_learning(p, labels)
    assert found.thresholds[2] == pytest.approx(1 / 3)
    assert [(s.position, s.suggested) for s in found.issues] == [(19, 1)]


def test_classes_without_images_and_classes_that_are_never_predicted():
    p = np.array([[0.8, 0.2, 0.0, 0.0], [0.7, 0.3, 0.0, 0.0], [0.6, 0.4, 0.0, 0.0]])
    found = confident_learning(p, np.array([0, 0, 3]))
    assert found.thresholds[1] == found.thresholds[2] == np.inf
    assert [row.images for row in found.per_class] == [2, 0, 0, 1]
    assert found.per_class[1].wrong_fraction == 0 and found.per_class[1].likeliest is None


@pytest.mark.parametrize("classes", [2, 7])
def test_no_image_and_one_image(classes):
    nothing = confident_learning(np.empty((0, classes)), np.empty(0, np.int64))
    assert nothing.issues == () and nothing.wrong_fraction == 0 and len(nothing.per_class) == classes
    one = confident_learning(np.full((1, classes), 1 / classes), np.array([1]))
    assert one.issues == () and one.wrong_fraction == 0


def test_equal_probabilities_keep_label_and_order():
    p = np.full((6, 2), 0.5)
    assert confident_learning(p, np.array([0, 1, 0, 1, 0, 1])).issues == ()
    p = np.array([[0.1, 0.9]] * 30)
    found = confident_learning(p, np.array([0] * 3 + [1] * 27))
    assert [s.position for s in found.issues] == [0, 1, 2]


def test_rounding_does_not_push_an_image_below_its_own_mean():
    assert sum([0.9] * 8) / 8 > 0.9  # the mean of equal numbers is another number
    p = np.array([[0.9, 0.1]] * 8)
    assert confident_learning(p, np.zeros(8, np.int64)).confident_joint[0, 0] == 8


@pytest.mark.parametrize(
    ("p", "labels", "words"),
    [
        (np.ones((3, 1)), [0, 0, 0], "K ≥ 2"),
        (np.ones(3), [0, 0, 0], "N×K"),
        (np.full((3, 2), 0.5), [0, 1], r"labels \(2,\)"),
        (np.array([[2.0, -1.0]]), [0], "softmax"),
        (np.array([[3.0, 5.0]]), [0], "softmax"),
        (np.array([[np.nan, 1.0]]), [0], "softmax"),
        (np.full((1, 2), 0.5), [2], "from 0 to 1"),
        (np.full((1, 2), 0.5), [-1], "from 0 to 1"),
        (np.full((1, 2), 0.5), [0.0], "float64"),
    ],
)
def test_what_it_refuses(p, labels, words):
    with pytest.raises(UserError, match=words):
        confident_learning(p, np.array(labels))
