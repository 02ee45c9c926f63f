from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.pooling.average_pooling import avg_pool2d, avg_pool2d_backward

ONES = np.ones((1, 1, 3, 3))


def test_the_definition_in_loops():
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 9))
    y = avg_pool2d(x, (2, 3), stride=(2, 1))
    for place in np.ndindex(y.shape):
        n, c, i, j = place
        assert y[place] == pytest.approx(x[n, c, 2 * i : 2 * i + 2, j : j + 3].mean())


def test_what_counts():
    # A corner of 2×2 has one pixel in the image and three in the padding.
    assert avg_pool2d(ONES, 2, padding=1)[0, 0, 0, 0] == 0.25
    assert (avg_pool2d(ONES, 2, padding=1, count_include_pad=False) == 1).all()
    # What ceil mode lets hang over counts in neither way.
    assert (avg_pool2d(ONES, 2, ceil_mode=True) == 1).all()


@given(kernel=st.integers(1, 4), stride=st.integers(1, 4), ceil_mode=st.booleans(), seed=st.integers(0, 99))
def test_without_padding_a_constant_stays_and_gradients_sum_up(kernel, stride, ceil_mode, seed):
    x = np.full((1, 2, 5, 6), 3.5)
    y = avg_pool2d(x, kernel, stride=stride, ceil_mode=ceil_mode)
    assert y == pytest.approx(3.5)
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    assert avg_pool2d_backward(dy, x, kernel, stride=stride, ceil_mode=ceil_mode).sum() == pytest.approx(
        dy.sum()
    )


def test_integers_are_not_cut_off():
    y = avg_pool2d(np.array([[[[0, 1], [1, 1]]]]), 2)
    assert (y.item(), y.dtype) == (0.75, np.float64)


def test_sizes_that_do_not_fit():
    with pytest.raises(ShapeError, match=r"padding is 2 and the kernel 2"):
        avg_pool2d(ONES, 2, padding=2)
    with pytest.raises(ShapeError, match=r"dy has shape \(1, 1, 2, 2\) and needs \(1, 1, 1, 1\)"):
        avg_pool2d_backward(np.zeros((1, 1, 2, 2)), ONES, 2)
