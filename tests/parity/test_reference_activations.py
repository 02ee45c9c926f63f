"""Activations in NumPy beside PyTorch's and beside measured gradients, over shapes drawn at random."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

import beside_torch as beside
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
from convscope.reference.losses.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward

SEEDS = st.integers(0, 1000)
SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)
SMOOTH = {
    "gelu": (gelu, gelu_backward, F.gelu),
    "gelu_tanh": (gelu_tanh, gelu_tanh_backward, partial(F.gelu, approximate="tanh")),
    "sigmoid": (sigmoid, sigmoid_backward, torch.sigmoid),
}


@pytest.mark.parametrize("name", SMOOTH)
@settings(max_examples=30)
@given(shape=SHAPES, scale=st.sampled_from([0.01, 1.0, 3.0]), seed=SEEDS)
def test_smooth_ones(name, shape, scale, seed):
    beside.agree(*SMOOTH[name], scale * beside.normal(*shape, seed=seed))


@settings(max_examples=30)
@given(shape=SHAPES, negative_slope=st.floats(0, 1), seed=SEEDS)
def test_those_with_a_kink(shape, negative_slope, seed):
    for x, smooth in ((beside.apart(*shape, seed=seed), True), (beside.ties(*shape, seed=seed), False)):
        beside.agree(relu, relu_backward, F.relu, x, gradients=smooth)
        beside.agree(
            partial(leaky_relu, negative_slope=negative_slope),
            partial(leaky_relu_backward, negative_slope=negative_slope),
            partial(F.leaky_relu, negative_slope=negative_slope),
            x,
            gradients=smooth,
        )


@settings(max_examples=40)
@given(shape=SHAPES, scale=st.sampled_from([0.1, 1.0, 10.0]), data=st.data(), seed=SEEDS)
def test_softmax_and_its_logarithm(shape, scale, data, seed):
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = scale * beside.normal(*shape, seed=seed)
    # Where one probability is nearly 1 the gradients are below what central differences can tell from 0.
    gradients = scale <= 1
    beside.agree(
        partial(softmax, axis=axis),
        partial(softmax_backward, axis=axis),
        partial(F.softmax, dim=axis),
        x,
        gradients=gradients,
    )
    beside.agree(
        partial(log_softmax, axis=axis),
        partial(log_softmax_backward, axis=axis),
        partial(F.log_softmax, dim=axis),
        x,
        gradients=gradients,
    )


def test_far_out_they_are_still_torchs():
    # Where powers overflow or vanish, in both precisions.
    x = np.array([-1e4, -800.0, -90.0, -40.0, -9.0, 9.0, 40.0, 90.0, 800.0, 1e4])
    for ours, backward, theirs in SMOOTH.values():
        beside.agree(ours, backward, theirs, x, gradients=False)
    beside.agree(softmax, softmax_backward, partial(F.softmax, dim=-1), x, gradients=False)
    beside.agree(log_softmax, log_softmax_backward, partial(F.log_softmax, dim=-1), x, gradients=False)


def test_gelu_keeps_its_digits_on_the_far_left():
    x = np.linspace(-30, 5, 1000)
    np.testing.assert_allclose(gelu(x), x * ndtr(x), rtol=1e-12)
