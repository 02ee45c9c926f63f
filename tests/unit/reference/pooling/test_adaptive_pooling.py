from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.pooling.adaptive_pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
    cells,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
)
from convscope.reference.pooling.average_pooling import avg_pool2d
from convscope.reference.pooling.max_pooling import max_pool2d

X = np.random.default_rng(0).standard_normal((2, 3, 12, 8))


@given(size=st.integers(1, 40), parts=st.integers(1, 40))
def test_cells_are_the_smallest_runs_that_hold_equal_parts(size, parts):
    runs = [columns for _, _, _, columns in cells((1, size), (1, parts))]
    assert len(runs) == parts
    for i, run in enumerate(runs):
        assert run.start == math.floor(i * size / parts)
        assert run.stop == math.ceil((i + 1) * size / parts)
    assert {pixel for run in runs for pixel in range(run.start, run.stop)} == set(range(size))


def test_where_the_size_divides_it_is_plain_pooling():
    np.testing.assert_allclose(adaptive_avg_pool2d(X, (3, 4)), avg_pool2d(X, (4, 2)), atol=1e-14)
    np.testing.assert_array_equal(adaptive_max_pool2d(X, (3, 4)), max_pool2d(X, (4, 2)))


def test_to_1_it_is_global():
    np.testing.assert_array_equal(adaptive_avg_pool2d(X, 1)[:, :, 0, 0], global_avg_pool2d(X))
    np.testing.assert_array_equal(adaptive_max_pool2d(X, 1)[:, :, 0, 0], global_max_pool2d(X))
    np.testing.assert_allclose(global_avg_pool2d(X), X.mean(axis=(2, 3)), atol=1e-14)
    np.testing.assert_array_equal(global_max_pool2d(X), X.max(axis=(2, 3)))


def test_to_its_own_size_nothing_changes():
    for pool in (adaptive_avg_pool2d, adaptive_max_pool2d):
        np.testing.assert_array_equal(pool(X, X.shape[2:]), X)


@given(size=st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_gradients_only_move(size):
    dy = np.random.default_rng(1).standard_normal((2, 3, *size))
    for backward in (adaptive_avg_pool2d_backward, adaptive_max_pool2d_backward):
        np.testing.assert_allclose(backward(dy, X, size).sum(axis=(2, 3)), dy.sum(axis=(2, 3)), atol=1e-12)


def test_precision_and_integers():
    assert adaptive_avg_pool2d(X.astype(np.float32), 2).dtype == np.float32
    assert global_avg_pool2d(np.array([[[[1, 2]]]])).item() == 1.5
    assert adaptive_avg_pool2d(np.zeros((0, 3, 4, 4)), 2).shape == (0, 3, 2, 2)


def test_sizes_that_do_not_fit():
    with pytest.raises(
        ShapeError, match="the size of the result is an integer or two, each at least 1; given: 0"
    ):
        adaptive_avg_pool2d(X, 0)
    with pytest.raises(ShapeError, match="x is N×C×H×W"):
        global_avg_pool2d(X[0])
    for backward in (adaptive_avg_pool2d_backward, adaptive_max_pool2d_backward):
        with pytest.raises(ShapeError, match=r"dy has shape \(2, 3, 1, 1\) and needs \(2, 3, 2, 2\)"):
            backward(np.zeros((2, 3, 1, 1)), X, 2)
    for backward in (global_avg_pool2d_backward, global_max_pool2d_backward):
        with pytest.raises(ShapeError, match=r"dy has shape \(2, 3, 1, 1\) and needs \(2, 3\): N×C"):
            backward(np.zeros((2, 3, 1, 1)), X)
        with pytest.raises(ShapeError, match="x is N×C×H×W"):
            backward(np.zeros((2, 3)), np.zeros((2, 3)))
