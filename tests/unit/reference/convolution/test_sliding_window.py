from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.convolution.sliding_window import conv2d_naive, under_tap, windows

# Worked by hand: each number is the left column of a 3×3 window less its right column.
IMAGE = [[1, 2, 0, 1, 3], [0, 1, 2, 3, 1], [2, 1, 0, 0, 1], [1, 0, 1, 2, 2], [3, 1, 1, 0, 0]]
EDGE = [[1, 0, -1]] * 3
EDGES = [[1, 0, -3], [0, -3, -1], [4, 0, -1]]


def test_the_example_worked_by_hand():
    y = conv2d_naive(np.array([[IMAGE]], float), np.array([[EDGE]], float))
    assert y[0, 0].tolist() == EDGES


def test_stride_leaves_out_places():
    y = conv2d_naive(np.array([[IMAGE]], float), np.array([[EDGE]], float), stride=(2, 2))
    assert y[0, 0].tolist() == [[1, -3], [4, -1]]


def test_dilation_leaves_out_pixels():
    y = conv2d_naive(np.array([[IMAGE]], float), np.array([[EDGE]], float), dilation=(2, 2))
    assert y.tolist() == [[[[(1 + 2 + 3) - (3 + 1 + 0)]]]]


def test_channels_are_added_and_filters_stacked():
    x = np.array([[[[1.0]], [[2.0]]]])
    w = np.array([[[[10.0]], [[100.0]]], [[[1.0]], [[-1.0]]]])
    assert conv2d_naive(x, w).ravel().tolist() == [210, -1]


def test_a_group_sees_its_own_channels():
    x = np.array([[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]])
    w = np.array([[[[1.0]], [[10.0]]], [[[1.0]], [[-1.0]]], [[[100.0]], [[1.0]]], [[[0.0]], [[1.0]]]])
    assert conv2d_naive(x, w, groups=2).ravel().tolist() == [21, -1, 304, 4]


def test_the_sum_stays_in_the_type_of_the_image():
    assert (
        conv2d_naive(np.ones((1, 1, 2, 2), np.float32), np.ones((1, 1, 2, 2), np.float32)).dtype == np.float32
    )


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(kernel=PAIRS, stride=PAIRS, dilation=PAIRS)
def test_each_number_is_the_one_of_the_definition(kernel, stride, dilation):
    x = np.arange(2 * 2 * 9 * 8.0).reshape(2, 2, 9, 8)
    view = windows(x, kernel, stride=stride, dilation=dilation)
    for n, c, a, b, i, j in np.ndindex(view.shape):
        assert (
            view[n, c, a, b, i, j]
            == x[n, c, stride[0] * i + dilation[0] * a, stride[1] * j + dilation[1] * b]
        )


@given(kernel=PAIRS, stride=PAIRS, dilation=PAIRS)
def test_a_tap_sees_its_part_of_all_windows(kernel, stride, dilation):
    x = np.arange(2 * 2 * 9 * 8.0).reshape(2, 2, 9, 8)
    view = windows(x, kernel, stride=stride, dilation=dilation)
    for tap in np.ndindex(*kernel):
        met = under_tap(x, tap, positions=view.shape[4:], stride=stride, dilation=dilation)
        np.testing.assert_array_equal(met, view[:, :, *tap])


def test_windows_share_the_memory_of_the_image_and_cannot_be_written():
    x = np.zeros((1, 1, 4, 4))
    view = windows(x, (3, 3))
    assert np.shares_memory(view, x)
    with pytest.raises(ValueError, match="read-only"):
        view[...] = 1


def test_what_is_added_under_a_tap_is_added_to_the_image():
    x = np.zeros((1, 1, 1, 5))
    met = under_tap(x, (0, 1), positions=(1, 2), stride=(1, 2))
    met += 1
    assert x.tolist() == [[[[0, 1, 0, 1, 0]]]]
