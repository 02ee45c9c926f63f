from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import Failure, UserError
from convscope.tasks.classification.metrics import classification_metrics, cross_entropy, top_k_accuracy


def names(k: int) -> list[str]:
    return [f"class {i}" for i in range(k)]


def batch(n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(n, k)) * 3, random.integers(k, size=n)


def test_a_case_by_hand():
    """Labels cat cat cat dog dog; answers cat cat dog dog cat; owl has no image."""
    logits = np.array([[2, 1, 0], [2, 1, 0], [1, 2, 0], [1, 2, 0], [2, 1, 0]], dtype=float)
    m = classification_metrics(logits, [0, 0, 0, 1, 1], ["cat", "dog", "owl"])
    assert m.confusion.tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert m.top1 == pytest.approx(3 / 5)
    cat, dog, owl = m.per_class
    assert (cat.support, cat.precision, cat.recall, cat.f1) == pytest.approx((3, 2 / 3, 2 / 3, 2 / 3))
    assert (dog.support, dog.precision, dog.recall, dog.f1) == pytest.approx((2, 1 / 2, 1 / 2, 1 / 2))
    assert (owl.support, owl.precision, owl.recall, owl.f1) == (0, None, None, None)
    assert m.macro_f1 == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert m.top5 is None
    assert m.notes == ("1 of 3 classes have no images here and do not count: owl",)


def test_a_class_that_is_never_answered_has_precision_0():
    m = classification_metrics([[1.0, 0.0]] * 2, [0, 1], ["a", "b"])
    assert (m.per_class[1].precision, m.per_class[1].recall, m.per_class[1].f1) == (0.0, 0.0, 0.0)


@settings(max_examples=40)
@given(n=st.integers(1, 60), k=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_loss_and_top_k_equal_torch(n, k, seed):
    logits, labels = batch(n, k, seed)
    z, y = torch.from_numpy(logits), torch.from_numpy(labels)
    assert cross_entropy(logits, labels) == pytest.approx(F.cross_entropy(z, y).item(), rel=1e-10)
    for top in {1, min(5, k)}:
        hit = (z.topk(top, dim=1).indices == y[:, None]).any(dim=1).double().mean().item()
        assert top_k_accuracy(logits, labels, top) == pytest.approx(hit)


@settings(max_examples=25)
@given(n=st.integers(1, 60), k=st.integers(1, 12), seed=st.integers(0, 10**6))
def test_the_figures_agree_with_each_other_and_are_json(n, k, seed):
    logits, labels = batch(n, k, seed)
    m = classification_metrics(logits, labels, names(k))
    assert m.confusion.sum() == n
    assert m.confusion.sum(axis=1).tolist() == [score.support for score in m.per_class]
    assert m.top1 == pytest.approx(top_k_accuracy(logits, labels, 1))
    assert (m.top5 is None) == (k <= 5)
    assert m.top5 is None or m.top5 >= m.top1
    for number, score in enumerate(m.per_class):
        if score.support:
            assert score.recall == pytest.approx(m.confusion[number, number] / score.support)
    json.dumps(m.to_dict(), allow_nan=False)


@settings(max_examples=30)
@given(n=st.integers(1, 60), k=st.integers(2, 12), seed=st.integers(0, 10**6))
def test_the_figures_of_the_classes_equal_scikit_learns(n, k, seed):
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    logits, labels = batch(n, k, seed)
    said, every = logits.argmax(axis=1), np.arange(k)
    m = classification_metrics(logits, labels, names(k))
    assert (m.confusion == confusion_matrix(labels, said, labels=every)).all()
    columns = precision_recall_fscore_support(labels, said, labels=every, zero_division=0)
    for score, precision, recall, f1, support in zip(m.per_class, *columns, strict=True):
        expected = (precision, recall, f1) if support else (None, None, None)
        assert (score.precision, score.recall, score.f1) == pytest.approx(expected)
        assert score.support == support


def test_macro_f1_equals_the_formula():
    logits, labels = batch(300, 4, 1)
    m = classification_metrics(logits, labels, names(4))
    c = m.confusion
    f1 = [2 * c[k, k] / (c[k].sum() + c[:, k].sum()) for k in range(4)]
    assert m.macro_f1 == pytest.approx(np.mean(f1))


def test_an_undecided_network_gains_nothing():
    labels = np.arange(10)
    m = classification_metrics(np.zeros((10, 10)), labels, names(10))
    assert m.top1 == pytest.approx(0.1)
    assert m.top5 == pytest.approx(0.5)
    assert m.loss == pytest.approx(np.log(10))


def test_huge_logits_overflow_nothing():
    m = classification_metrics(np.array([[1e5, -1e5], [1e5, -1e5]], np.float32), [0, 1], ["a", "b"])
    assert m.loss == pytest.approx(1e5)


def test_float32_and_bfloat16_sized_logits_are_taken():
    logits, labels = batch(20, 3, 0)
    assert classification_metrics(logits.astype(np.float16), labels, names(3)).images == 20


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (np.zeros((0, 2)), [], "no images"),
        (np.zeros((2, 3)), [0, 1], r"need \(2, 2\)"),
        (np.zeros((2, 2)), [0], r"need \(1, 2\)"),
        (np.zeros((2, 2)), [0, 2], "must be 0 to 1"),
        (np.zeros((2, 2)), [-1, 0], "must be 0 to 1"),
    ],
)
def test_what_does_not_fit_is_explained(logits, labels, message):
    with pytest.raises(UserError, match=message):
        classification_metrics(logits, labels, ["a", "b"])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_broken_network_is_a_failure(bad):
    with pytest.raises(Failure, match="1 of 2 images"):
        classification_metrics([[0.0, bad], [0.0, 1.0]], [0, 1], ["a", "b"])


def test_many_empty_classes_are_counted_and_not_all_named():
    m = classification_metrics(np.zeros((1, 20)), [0], names(20))
    assert m.notes[0].endswith("class 5 and 14 more")
