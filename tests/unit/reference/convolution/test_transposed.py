from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.convolution.conv2d import conv2d, conv2d_backward
from convscope.reference.convolution.transposed import (
    conv_transpose2d,
    conv_transpose2d_backward,
    transposed_size,
)
from convscope.reference.shapes import output_size

X = np.random.default_rng(0).standard_normal((2, 4, 3, 5))
W = np.random.default_rng(1).standard_normal((4, 3, 3, 2))


@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1}, {"dilation": (2, 3), "stride": (1, 2)}], ids=str
)
def test_it_is_the_gradient_of_a_convolution(options):
    y = conv_transpose2d(X, W, **options)
    dx, _, _ = conv2d_backward(X, np.zeros(y.shape), W, **options)
    np.testing.assert_array_equal(y, dx)


@pytest.mark.parametrize("groups", [1, 2])
def test_it_is_the_transposed_matrix(groups):
    """M column by column, from conv2d of images with a single 1."""
    w = W[:, : 4 // groups]
    options = {"stride": 2, "padding": 1, "groups": groups}
    y = conv_transpose2d(X, w, **options)
    ones = np.eye(y[0].size).reshape(-1, *y.shape[1:])
    matrix = conv2d(ones, w, **options).reshape(len(ones), -1).T
    np.testing.assert_allclose(y.reshape(2, -1), X.reshape(2, -1) @ matrix, rtol=0, atol=1e-13)


@given(
    size=st.integers(1, 9),
    kernel=st.integers(1, 4),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 3),
)
def test_its_sizes_are_all_that_a_convolution_brings_back(size, kernel, stride, padding, dilation):
    options = {"stride": stride, "padding": padding, "dilation": dilation}

    def comes_back(large: int) -> bool:
        try:
            return output_size(large, kernel, **options) == size
        except ShapeError:
            return False

    expected = [large for large in range(1, 80) if comes_back(large)]
    ours = []
    for more in range(stride):
        try:
            ours.append(transposed_size(size, kernel, output_padding=more, **options))
        except ShapeError:
            assert (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + 1 + more < 1
    assert ours == expected


def test_output_padding_holds_the_bias_alone():
    y = conv_transpose2d([[[[1, 2]]]], [[[[1]]]], [0.5], stride=2, output_padding=(0, 1))
    assert y.tolist() == [[[[1.5, 0.5, 2.5, 0.5]]]]


def test_no_images_give_no_maps():
    assert conv_transpose2d(X[:0], W, stride=2).shape == (0, 3, 7, 10)
    dx, dw, db = conv_transpose2d_backward(np.zeros((0, 3, 7, 10)), X[:0], W, stride=2)
    assert dx.shape == (0, 4, 3, 5)
    assert dw.shape == W.shape
    assert not dw.any()
    assert not db.any()


def test_types_are_kept_and_whole_numbers_not_cut_off():
    assert conv_transpose2d(X.astype(np.float32), W.astype(np.float32)).dtype == np.float32
    y = conv_transpose2d(np.ones((1, 1, 1, 1), np.uint8), np.full((1, 1, 1, 1), 0.5))
    assert y.tolist() == [[[[0.5]]]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[0]}, "x is N×C×H×W"),
        ({"x": X[:, :3]}, r"x has 3 channels and w has filters for 4: C_in = w.shape\[0\]"),
        ({"w": W[0]}, r"w is C_in×\(C_out/groups\)×kH×kW"),
        ({"groups": 3}, "divides C_in = 4"),
        ({"b": np.zeros(4)}, r"b has shape \(4,\) and needs \(3,\)"),
        ({"padding": 3}, r"nothing is left.*= \(3 - 1\)\*1 - 2\*3 \+ 1\*2 \+ 1 \+ 0 = -1"),
        ({"padding": "same"}, "padding is an integer or two"),
        ({"output_padding": 1}, "output_padding 1 needs a stride above it, given 1"),
        ({"stride": 0}, "stride is an integer or two, each at least 1"),
        ({"dilation": 0}, "dilation is an integer or two, each at least 1"),
    ],
)
def test_sizes_that_do_not_fit_raise_with_the_formula(change, message):
    arguments = {"x": X, "w": W, "b": np.zeros(3), **change}
    options = {name: arguments.pop(name) for name in list(arguments) if name not in {"x", "w", "b"}}
    with pytest.raises(ShapeError, match=message):
        conv_transpose2d(*arguments.values(), **options)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 3, 5), "dy is N×C×H×W"),
        ((2, 4, 7, 10), r"dy's N×C_out has shape \(2, 4\) and needs \(2, 3\)"),
        ((1, 3, 7, 10), r"dy's N×C_out has shape \(1, 3\) and needs \(2, 3\)"),
        ((2, 3, 9, 10), r"conv2d of dy, H×W, has shape \(4, 5\) and needs \(3, 5\): H of dy is \(H - 1\)\*s"),
        ((2, 3, 6, 10), r"conv2d of dy, H×W, has shape \(2, 5\) and needs \(3, 5\)"),
    ],
)
def test_a_gradient_has_a_shape_that_fits(shape, message):
    with pytest.raises(ShapeError, match=message):
        conv_transpose2d_backward(np.zeros(shape), X, W, stride=2)


def test_the_gradient_refuses_padding_in_words():
    with pytest.raises(ShapeError, match="padding is an integer or two"):
        conv_transpose2d_backward(np.zeros((2, 3, 5, 6)), X, W, padding="same")
