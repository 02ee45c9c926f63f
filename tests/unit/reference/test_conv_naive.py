from __future__ import annotations

import numpy as np

from convscope.reference.conv_naive import conv2d_naive

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
