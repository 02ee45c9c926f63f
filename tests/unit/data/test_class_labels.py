"""Names and numbers as labels: order of classes, look-up, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.data.class_labels import class_indices, class_names, label_values, natural_key

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@pytest.mark.slow
@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=40))
def test_numbers_become_names_in_order_of_size(values):
    positive = [abs(value) for value in values]
    classes = class_names(positive)
    assert [int(name) for name in classes] == sorted(set(positive))
    indices = class_indices(positive, classes, numbered=False, where="x")
    assert [int(classes[i]) for i in indices] == positive


@given(st.lists(NAMES, min_size=1, max_size=40))
def test_any_names_come_back(values):
    classes = class_names(values)
    indices = class_indices(values, classes, numbered=False, where="x")
    assert [classes[i] for i in indices] == values
    assert len(set(classes)) == len(classes)


@given(st.lists(NAMES, max_size=30))
def test_the_natural_order_does_not_depend_on_the_order_given(names):
    backwards = names[::-1]
    assert sorted(names, key=natural_key) == sorted(backwards, key=natural_key)


def test_natural_order_counts_and_ignores_case():
    assert sorted(["b", "A10", "a9", "a1x2"], key=natural_key) == ["a1x2", "a9", "A10", "b"]
    assert sorted(["²", "1", "٣"], key=natural_key)  # digits of other scripts are no numbers here


def test_numbered_labels_are_checked_against_the_names():
    assert class_indices([0, 1], ("a", "b"), numbered=True, where="x").tolist() == [0, 1]
    with pytest.raises(UserError, match=r"x\.npz: label 2"):
        class_indices([0, 2], ("a", "b"), numbered=True, where="x.npz")


def test_names_are_looked_up_even_where_numbers_are_usual():
    assert class_indices(["b", "a"], ("a", "b"), numbered=True, where="x").tolist() == [1, 0]


def test_a_label_that_is_no_class_is_named_with_the_first_classes():
    classes = tuple(f"c{i}" for i in range(20))
    with pytest.raises(UserError, match=r"t\.csv: label 'cat' is none of the 20 classes: c0, .*c9, …"):
        class_indices(["c0", "cat"], classes, numbered=False, where="t.csv")


def test_a_column_of_labels_is_flattened():
    assert label_values(np.array([[1], [2]])).tolist() == [1, 2]


@pytest.mark.parametrize("values", [[[1, 2], [3, 4]], [1.5], [None], np.zeros((2, 1, 1), int), [True]])
def test_other_labels_are_refused(values):
    with pytest.raises(UserError, match="N whole numbers or N names"):
        label_values(np.asarray(values))
