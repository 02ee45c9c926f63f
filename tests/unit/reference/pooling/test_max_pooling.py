from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.pooling.max_pooling import max_pool2d, max_pool2d_backward


def test_the_definition_in_loops():
    x = np.random.default_rng(0).standard_normal((2, 3, 7, 9))
    y = max_pool2d(x, (2, 3), stride=(2, 1))
    for place in np.ndindex(y.shape):
        n, c, i, j = place
        assert y[place] == x[n, c, 2 * i : 2 * i + 2, j : j + 3].max()


def test_of_equal_numbers_the_first_one_receives_the_gradient():
    dx = max_pool2d_backward([[[[1.0]]]], np.zeros((1, 1, 2, 2)), 2)
    assert dx.ravel().tolist() == [1, 0, 0, 0]


def test_a_pixel_that_wins_twice_receives_both_gradients():
    dx = max_pool2d_backward([[[[1.0, 10.0]]]], [[[[0.0, 5.0, 0.0]]]], (1, 2), stride=1)
    assert dx.ravel().tolist() == [0, 11, 0]


def test_padding_never_wins():
    # All numbers are negative, and even against −∞ the pixel of the image receives the gradient.
    assert max_pool2d(-np.ones((1, 1, 2, 2)), 3, stride=1, padding=1).max() == -1
    x = np.full((1, 1, 1, 1), -np.inf)
    assert max_pool2d_backward(np.ones((1, 1, 1, 1)), x, 3, padding=1).item() == 1


def test_nan_passes_through():
    assert np.isnan(max_pool2d([[[[1.0, np.nan], [3.0, 4.0]]]], 2)).all()


@given(shift=st.integers(-3, 3), factor=st.floats(0.1, 10))
def test_rising_functions_go_through(shift, factor):
    # max(relu(x)) = relu(max(x)): the reason that LeNet-5 here may pool before its ReLU.
    x = np.random.default_rng(0).standard_normal((2, 2, 6, 6))
    np.testing.assert_array_equal(max_pool2d(factor * x + shift, 2), factor * max_pool2d(x, 2) + shift)
    np.testing.assert_array_equal(max_pool2d(np.maximum(x, 0), 2), np.maximum(max_pool2d(x, 2), 0))


def test_dtypes():
    assert max_pool2d(np.zeros((1, 1, 2, 2), np.float32), 2).dtype == np.float32
    assert max_pool2d(np.array([[[[-7, -8], [-9, -7]]]]), 2).tolist() == [[[[-7.0]]]]
    assert max_pool2d(np.zeros((0, 3, 4, 4)), 2).shape == (0, 3, 2, 2)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((3, 4), {"kernel": 2}, r"x is N×C×H×W.*\(3, 4\)"),
        ((1, 1, 2, 2), {"kernel": 3}, r"kernel of 3 .* reaches over 3 pixels.*floor"),
        (
            (1, 1, 4, 4),
            {"kernel": 3, "padding": 2},
            r"padding is 2 and the kernel 3.*at most half the kernel, 1",
        ),
        ((1, 1, 4, 4), {"kernel": 0}, r"kernel is an integer or two, each at least 1; given: 0"),
        ((1, 1, 4, 4), {"kernel": 2, "stride": 0}, r"stride .* at least 1; given: 0"),
        ((1, 1, 4, 4), {"kernel": 2.5}, r"kernel is an integer"),
        (
            (1, 1, 1, 1),
            {"kernel": 2, "padding": 1, "dilation": 2},
            r"window 0 looks at \[-1, 1\].*padding alone",
        ),
    ],
)
def test_sizes_that_do_not_fit(shape, options, message):
    with pytest.raises(ShapeError, match=message):
        max_pool2d(np.zeros(shape), **options)


def test_a_gradient_of_another_shape():
    with pytest.raises(ShapeError, match=r"dy has shape \(1, 1, 3, 3\) and needs \(1, 1, 2, 2\)"):
        max_pool2d_backward(np.zeros((1, 1, 3, 3)), np.zeros((1, 1, 4, 4)), 2)
