from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.decision import Decision
from convscope.tasks.classification.confusion import cells, most_confident_errors
from convscope.tasks.classification.metrics import classification_metrics


def answers(n: int, seed: int):
    rng = np.random.default_rng(seed)
    return 2 * rng.normal(size=(n, 3)), rng.integers(3, size=n)


@given(st.integers(1, 60), st.integers(0, 10**6), st.integers(0, 70))
def test_the_worst_errors_are_errors_and_none_is_worse(n, seed, count):
    logits, labels = answers(n, seed)
    found = most_confident_errors(logits, labels, Decision(2.0), count=count)
    wrong = np.flatnonzero(logits.argmax(1) != labels)
    sure = Decision(2.0).probabilities(logits).max(1)
    assert len(found) == len(set(found)) == min(count, len(wrong)) and set(found) <= set(wrong)
    assert (np.diff(sure[found]) <= 0).all()
    assert all(sure[other] <= sure[found].min(initial=2.0) for other in set(wrong) - set(found))


@given(st.integers(1, 60), st.integers(0, 10**6))
def test_the_cells_are_the_confusion_matrix(n, seed):
    logits, labels = answers(n, seed)
    found = cells(logits, labels, Decision())
    confusion = classification_metrics(logits, labels, "abc").confusion
    assert {cell: len(images) for cell, images in found.items()} == {
        (i, j): int(confusion[i, j]) for i, j in np.ndindex(3, 3) if confusion[i, j]
    }
    sure = Decision().probabilities(logits).max(1)
    for (label, answer), images in found.items():
        assert (labels[images] == label).all() and (logits[images].argmax(1) == answer).all()
        assert (np.diff(sure[images]) <= 0).all()


def test_no_image_has_no_cell_and_no_error():
    nothing = np.empty((0, 3)), np.empty(0, np.int64)
    assert cells(*nothing, Decision()) == {} and len(most_confident_errors(*nothing, Decision())) == 0


def test_equal_mistakes_keep_their_order():
    logits = np.log([[0.9, 0.1]] * 4)
    assert most_confident_errors(logits, np.array([1, 0, 1, 1]), Decision(), count=2).tolist() == [0, 2]
