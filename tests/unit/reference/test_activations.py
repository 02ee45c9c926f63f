from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.activations import (
    gelu,
    gelu_backward,
    gelu_tanh,
    gelu_tanh_backward,
    leaky_relu,
    leaky_relu_backward,
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
)
from convscope.reference.arrays import ShapeError

X = np.linspace(-8, 8, 161)
PAIRS = {
    "relu": (relu, relu_backward),
    "leaky_relu": (leaky_relu, leaky_relu_backward),
    "gelu": (gelu, gelu_backward),
    "gelu_tanh": (gelu_tanh, gelu_tanh_backward),
    "sigmoid": (sigmoid, sigmoid_backward),
}


@pytest.mark.parametrize("name", PAIRS)
def test_precision_stays_and_integers_become_floats(name):
    function, backward = PAIRS[name]
    for dtype in (np.float32, np.float64):
        assert function(X.astype(dtype)).dtype == dtype
        assert backward(X.astype(dtype), X.astype(dtype)).dtype == dtype
    assert function(np.array([1, 2])).dtype == np.float64
    with pytest.raises(TypeError, match="float32 and float64"):
        function(X.astype(complex))


@pytest.mark.parametrize("name", PAIRS)
def test_a_gradient_of_another_shape(name):
    with pytest.raises(ShapeError, match=r"dy has shape \(2,\) and needs \(3,\)"):
        PAIRS[name][1](np.ones(2), np.ones(3))


def test_relu_and_its_kink():
    np.testing.assert_array_equal(relu(X), [max(v, 0) for v in X])
    assert relu_backward([1.0], [0.0]).item() == 0
    np.testing.assert_array_equal(leaky_relu(X, negative_slope=0), relu(X))
    np.testing.assert_array_equal(leaky_relu(X, negative_slope=1), X)
    assert np.isnan(relu([np.nan])).all()


@given(st.floats(-1e3, 1e3))
def test_sigmoid_is_a_probability_and_symmetric(x):
    y = sigmoid(x).item()
    assert 0 <= y <= 1
    assert y + sigmoid(-x).item() == pytest.approx(1, abs=1e-15)
    assert y == pytest.approx(0.5 * (1 + math.tanh(x / 2)), rel=1e-12, abs=1e-15)
    assert sigmoid_backward(1.0, x) == pytest.approx(sigmoid_backward(1.0, -x))


def test_sigmoid_keeps_its_digits_on_the_far_left():
    np.testing.assert_allclose(sigmoid([-700.0, -50.0]), np.exp([-700.0, -50.0]), rtol=1e-12)


def test_gelu_is_x_times_the_probability_below():
    # Against the bell curve summed up in small steps.
    steps = np.linspace(-40, 0.7, 2_000_001)
    probability = np.trapezoid(np.exp(-0.5 * steps**2), steps) / math.sqrt(2 * math.pi)
    assert gelu([0.7]).item() == pytest.approx(0.7 * probability, rel=1e-9)
    np.testing.assert_allclose(gelu(X) - gelu(-X), X, atol=1e-14)


def test_the_two_forms_of_gelu_are_near_each_other():
    wide = np.linspace(-10, 10, 100_001)
    difference = np.abs(gelu(wide) - gelu_tanh(wide)).max()
    assert 1e-4 < difference < 5e-4, "the docstring says within 5e-4"
