"""Guided backpropagation finds every ReLU, however it is written, and says where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import methods
from convscope.explanation.pytorch.gradients import input_gradient
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create

WRITTEN = {
    "layer": nn.ReLU(),
    "layer in place": nn.ReLU(inplace=True),
    "functional": F.relu,
    "functional in place": lambda x: F.relu(x, inplace=True),
    "torch": torch.relu,
    "method": lambda x: x.relu(),
    "method in place": lambda x: x.relu_(),
    "clamp": lambda x: x.clamp(min=0),
    "clamp_min": lambda x: torch.clamp_min(x, 0),
}
CUT_AT_SIX = {
    "layer": nn.ReLU6(),
    "layer in place": nn.ReLU6(inplace=True),
    "functional": F.relu6,
    "clamp": lambda x: x.clamp(0, 6),
}
OTHERS = {
    "GELU": F.gelu,
    "SiLU": F.silu,
    "Hardswish": F.hardswish,
    "Tanh": torch.tanh,
    "LeakyReLU": F.leaky_relu,
}


class Twice(nn.Module):
    """Two convolutions, the same activation behind both, and a shortcut: the ReLU is used twice."""

    def __init__(self, activation):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second, self.last = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4 * 16, 3)
        self.activation = activation

    def forward(self, x):
        x = self.activation(5 * self.first(x))
        return self.last((x + self.activation(self.second(x))).flatten(1))


def images():
    x = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return x, torch.tensor([0, 2, 1, 0])


def by_hand(net, x, targets, *, top=np.inf):
    """The rule written out backwards, layer by layer, with the transposed convolutions as matrices of
    gradients.
    """
    found = []
    for one, target in zip(x, targets, strict=True):
        a = 5 * net.first(one[None])
        h = a.clamp(0, top)
        b = net.second(h)
        up = net.last.weight[target].view_as(h)

        def through(gradient, before):
            return gradient.clamp(min=0) * ((before > 0) & (before < top))

        back = up + F.conv_transpose2d(through(up, b), net.second.weight)
        found.append(5 * F.conv_transpose2d(through(back, a), net.first.weight)[0])
    return torch.stack(found).detach()


@pytest.mark.parametrize("activation", WRITTEN.values(), ids=WRITTEN)
def test_every_relu_is_guided(activation):
    net, (x, targets) = Twice(activation).double(), images()
    guided = input_gradient(net, x, targets, guided=True)
    assert guided.numpy() == pytest.approx(by_hand(net, x, targets).numpy(), abs=1e-12)
    assert not torch.allclose(guided, input_gradient(net, x, targets))


@pytest.mark.parametrize("activation", CUT_AT_SIX.values(), ids=CUT_AT_SIX)
def test_a_relu_that_ends_at_six_is_one(activation):
    net, (x, targets) = Twice(activation).double(), images()
    guided = input_gradient(net, x, targets, guided=True)
    assert guided.numpy() == pytest.approx(by_hand(net, x, targets, top=6).numpy(), abs=1e-12)
    assert not torch.allclose(guided, by_hand(net, x, targets))


def test_the_next_gradient_is_the_plain_one():
    net, (x, targets) = Twice(nn.ReLU()).double(), images()
    plain = input_gradient(net, x, targets)
    input_gradient(net, x, targets, guided=True)
    assert torch.equal(input_gradient(net, x, targets), plain)


@pytest.mark.parametrize("name", OTHERS)
def test_a_network_without_relu_is_refused_with_what_it_has(name):
    with pytest.raises(
        UserError, match=rf"needs a network with ReLU; this one has {name}: use smooth_grad or integ"
    ):
        input_gradient(Twice(OTHERS[name]).double(), *images(), guided=True)


@pytest.mark.parametrize(("activation", "words"), [(F.hardtanh, "Hardtanh"), (lambda x: x, "no activation")])
def test_what_only_looks_like_one_is_none(activation, words):
    with pytest.raises(UserError, match=f"this one has {words}"):
        input_gradient(Twice(activation).double(), *images(), guided=True)


@pytest.mark.parametrize(
    ("name", "words"), [("efficientnet_b0", "SiLU"), ("convnext_tiny", "GELU"), ("lenet5_1998", "Tanh")]
)
def test_networks_of_the_zoo_without_relu(name, words):
    torch.manual_seed(0)
    network = create(name, input_shape=(1, 28, 28), classes=2)
    model = ExplainedModel.of(TorchPredictor(network, Preprocess(1, 28, 28), ("cat", "dog")))
    with pytest.raises(UserError, match=f"has {words}"):
        methods["guided_backprop"].compute(model, np.zeros((1, 28, 28, 1), np.uint8), np.array([0]))


def test_one_relu_among_others_is_guided():
    """MobileNet V3 has both; what is not ReLU passes gradients as ever."""
    net, (x, targets) = Twice(lambda a: F.relu(F.hardswish(a))).double(), images()
    assert not torch.allclose(input_gradient(net, x, targets, guided=True), input_gradient(net, x, targets))
