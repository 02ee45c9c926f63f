from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import beside_torch as beside
from convscope.reference.arrays import ShapeError
from convscope.reference.gradcheck import gradcheck
from convscope.reference.network.layers import AvgPool2d, Dropout, Flatten, MaxPool2d, ReLU
from convscope.reference.network.weighted_layers import BatchNorm2d, Conv2d, Linear

IMAGES = beside.apart(3, 4, 6, 7)
CASES = {
    "conv": (lambda: Conv2d(4, 6, (3, 2), stride=(1, 2), padding=1, groups=2), IMAGES),
    "batch norm": (lambda: BatchNorm2d(4), IMAGES),
    "relu": (ReLU, IMAGES),
    "max pool": (lambda: MaxPool2d(2, stride=2, padding=1, dilation=2, ceil_mode=True), IMAGES),
    "average pool": (
        lambda: AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        IMAGES,
    ),
    "flatten": (Flatten, IMAGES),
    "linear": (lambda: Linear(5, 3), beside.apart(4, 5)),
}
TORCHS = {
    "conv": lambda: nn.Conv2d(4, 6, (3, 2), stride=(1, 2), padding=1, groups=2),
    "batch norm": lambda: nn.BatchNorm2d(4),
    "relu": nn.ReLU,
    "max pool": lambda: nn.MaxPool2d(2, stride=2, padding=1, dilation=2, ceil_mode=True),
    "average pool": lambda: nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    "flatten": nn.Flatten,
    "linear": lambda: nn.Linear(5, 3),
}


def started(name, dtype=np.float64):
    layer = CASES[name][0]()
    layer.start(np.random.default_rng(0), dtype)
    return layer


@pytest.mark.parametrize("name", CASES)
def test_a_layer_is_torchs_with_the_same_weights(name):
    ours, theirs, x = started(name), TORCHS[name]().double(), CASES[name][1]
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), ours.weights.values(), strict=True):
            parameter.copy_(torch.tensor(value))
    leaf = torch.tensor(x, requires_grad=True)
    expected = theirs(leaf)
    dy = beside.normal(*expected.shape, seed=5)
    expected.backward(torch.tensor(dy))
    beside.near(ours.forward(x, training=True), expected.detach().numpy(), beside.FLOAT64)
    beside.near(ours.backward(dy), leaf.grad.numpy(), beside.FLOAT64)
    for parameter, gradient in zip(theirs.parameters(), ours.gradients.values(), strict=True):
        beside.near(gradient, parameter.grad.numpy(), beside.FLOAT64)
    # In evaluation, too, where batch norm has statistics of its own.
    beside.near(ours.forward(x), theirs.eval()(leaf).detach().numpy(), beside.FLOAT64)


@pytest.mark.parametrize("name", CASES)
def test_measured_gradients_of_input_and_weights(name):
    layer, names = started(name), list(started(name).weights)

    def function(x, *weights):
        layer.weights = dict(zip(names, weights, strict=True))
        return layer.forward(x, training=True)

    def gradients(dy, x, *weights):
        function(x, *weights)
        return [layer.backward(dy), *(layer.gradients[n] for n in names)]

    gradcheck(function, gradients, CASES[name][1], *layer.weights.values())


@pytest.mark.parametrize("name", CASES)
def test_float32_stays(name):
    layer, x = started(name, np.float32), CASES[name][1].astype(np.float32)
    y = layer.forward(x, training=True)
    assert {y.dtype, layer.backward(y).dtype, layer.forward(x).dtype} == {np.dtype(np.float32)}
    assert {a.dtype for a in (*layer.weights.values(), *layer.gradients.values())} <= {np.dtype(np.float32)}


@pytest.mark.parametrize("name", CASES)
def test_backward_needs_a_forward_in_training(name):
    layer = started(name)
    for prepare in (lambda: None, lambda: layer.forward(CASES[name][1])):
        prepare()
        with pytest.raises(RuntimeError, match=r"call that first"):
            layer.backward(CASES[name][1])


def test_dropout_and_its_gradient_use_one_mask_in_training_only():
    layer, x = Dropout(0.5), np.ones((100, 10))
    layer.start(np.random.default_rng(0), np.float64)
    y = layer.forward(x, training=True)
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(layer.backward(x), y)
    assert (layer.forward(x, training=True) != y).any(), "another mask each time"
    np.testing.assert_array_equal(layer.forward(x), x)


def test_groups_that_do_not_divide():
    with pytest.raises(ShapeError, match="C_in = 3"):
        Conv2d(3, 4, 3, groups=2)
