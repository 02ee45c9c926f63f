from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.activations import leaky_relu, relu
from convscope.reference.arrays import ShapeError
from convscope.reference.convolution.conv2d import conv2d, conv2d_backward
from convscope.reference.network.linear import linear, linear_backward
from convscope.reference.training.initialisation import (
    fans,
    he_normal,
    he_uniform,
    xavier_normal,
    xavier_uniform,
)

DRAWS = {
    "xavier_uniform": xavier_uniform,
    "xavier_normal": xavier_normal,
    "he_uniform": he_uniform,
    "he_normal": he_normal,
}
WIDTH, DEPTH = 300, 20


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=4))
def test_fans_are_torchs(shape):
    assert fans(tuple(shape)) == torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize(
    ("name", "options", "variance"),
    [
        ("xavier_uniform", {}, 2 / 900),
        ("xavier_normal", {"gain": 5 / 3}, 25 / 9 * 2 / 900),
        ("he_uniform", {}, 2 / 600),
        ("he_normal", {"mode": "fan_out"}, 2 / 300),
        ("he_uniform", {"negative_slope": 1.0}, 1 / 600),
    ],
)
def test_the_variance_is_the_promised_one(name, options, variance):
    w = DRAWS[name]((300, 600), rng(), **options)
    # 180,000 numbers: the standard error of a variance is at most √(2/n), 0.33 %.
    assert w.var() == pytest.approx(variance, rel=0.02)
    assert abs(w.mean()) < 5 * np.sqrt(variance / w.size)
    if "uniform" in name:
        assert np.abs(w).max() <= np.sqrt(3 * variance)


@pytest.mark.parametrize("name", ["he_uniform", "he_normal"])
@pytest.mark.parametrize("negative_slope", [0.0, 0.3])
def test_he_keeps_signals_through_twenty_layers_of_relu(name, negative_slope):
    x = rng(1).standard_normal((200, WIDTH))
    for layer in range(DEPTH):
        y = linear(x, DRAWS[name]((WIDTH, WIDTH), rng(layer), negative_slope=negative_slope))
        x = leaky_relu(y, negative_slope=negative_slope)
    # Each layer of 300 units adds some 10 % of randomness to the variance: twenty of them, a factor of 1.5.
    assert 0.3 < y.var() < 6


def test_xavier_loses_half_of_it_in_each_layer_of_relu():
    x = rng(1).standard_normal((200, WIDTH))
    for layer in range(DEPTH):
        x = relu(linear(x, xavier_normal((WIDTH, WIDTH), rng(layer))))
    assert 2.0**-DEPTH / 10 < x.var() < 2.0**-DEPTH * 10


def test_xavier_keeps_signals_through_twenty_layers_without_relu():
    x = rng(1).standard_normal((200, WIDTH))
    for layer in range(DEPTH):
        x = linear(x, xavier_uniform((WIDTH, WIDTH), rng(layer)))
    assert 0.3 < x.var() < 3


def test_fan_out_keeps_gradients_where_fan_in_keeps_signals():
    # From 50 to 500 and back: by fan-in gradients of the widening layer grow tenfold, by fan-out they stay.
    x, dy = rng(1).standard_normal((400, 50)), rng(2).standard_normal((400, 500))
    for mode, grown in (("fan_in", 2 * 500 / 50), ("fan_out", 2.0)):
        dx, _, _ = linear_backward(dy, x, he_normal((500, 50), rng(), mode=mode))
        assert dx.var() == pytest.approx(grown, rel=0.1)


def test_the_argument_holds_for_convolutions():
    x = rng(1).standard_normal((4, 32, 24, 24))
    w = he_normal((64, 32, 3, 3), rng())
    assert conv2d(x, w).var() == pytest.approx(2.0, rel=0.1)
    dy = rng(2).standard_normal((4, 64, 22, 22))
    dx, _, _ = conv2d_backward(dy, x, he_normal((64, 32, 3, 3), rng(), mode="fan_out"))
    # In the middle: pixels at the border belong to fewer windows.
    assert dx[:, :, 3:-3, 3:-3].var() == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("name", DRAWS)
def test_seeds_and_precision(name):
    one, again, other = (DRAWS[name]((4, 3, 2, 2), rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).all()
    assert one.dtype == np.float64
    assert DRAWS[name]((4, 3), rng(), dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("shape", [(3,), (), (0, 3)])
def test_shapes_that_are_no_weights(name, shape):
    with pytest.raises(ShapeError, match="weights are K×D or C_out×C_in×kH×kW"):
        DRAWS[name](shape, rng())


def test_an_unknown_mode():
    with pytest.raises(ValueError, match="'fan_in' for signals"):
        he_normal((2, 2), rng(), mode="fan_avg")
