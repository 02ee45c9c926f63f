"""The Probe of a second engine, written here in NumPy alone, serves the methods as that of torch does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation import probe as module
from convscope.explanation.attacks import fgsm
from convscope.explanation.attribute import explain_images
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.faithfulness.sanity import reinitialised
from convscope.explanation.feature_visualisation.feature_maps import feature_maps
from convscope.explanation.feature_visualisation.filters import first_filters
from convscope.explanation.methods import methods
from convscope.explanation.probe import LayerGradients, probe_of
from convscope.explanation.pytorch.probe import TorchProbe

SIDE = 6


class Network:
    """Two logits from the mean of three feature maps: A_d = max(0, a_d · x + b_d), y = mean(A) @ w."""

    classes = ("ant", "bee")
    preprocess = Preprocess(1, SIDE, SIDE, mean=(0.4,), std=(0.3,))

    def __init__(self, seed=0):
        rng = np.random.default_rng(seed)
        self.a, self.b, self.w = rng.normal(size=3), rng.normal(size=3), rng.normal(size=(3, 2))

    def predict(self, images):
        return NumpyProbe(self).logits(self.preprocess.normalise(images))


class NumpyProbe:
    """All six members by hand."""

    def __init__(self, network):
        self.network = network

    def layers(self, *, within=False):
        return ("maps",)

    def feature_maps(self, inputs, layers):
        return {"maps": self._maps(inputs)}, self.logits(inputs)

    def layer_gradients(self, inputs, targets, layer):
        maps = self._maps(inputs)
        gradients = np.broadcast_to(self.network.w.T[targets][:, :, None, None] / SIDE**2, maps.shape)
        return LayerGradients(maps, gradients, self.logits(inputs))

    def logits(self, inputs, replaced=None):
        maps = self._maps(inputs) if replaced is None else replaced[1]
        return maps.mean(axis=(2, 3)) @ self.network.w

    def input_gradients(self, inputs, targets, *, of="logit", guided=False):
        up = self.network.w.T[targets]
        if of == "log odds against":  # of two classes that is the other logit less the own one
            up = self.network.w.T[1 - targets] - up
        if guided:
            up = np.maximum(up, 0)
        gradients = (self._maps(inputs) > 0) * (up * self.network.a)[:, :, None, None] / SIDE**2
        return gradients.sum(axis=1, keepdims=True)

    def reinitialised(self, seed):
        return Network(seed + 1)

    def _maps(self, inputs):
        a, b = self.network.a[:, None, None], self.network.b[:, None, None]
        return np.maximum(0, a * inputs + b)


@pytest.fixture
def model(monkeypatch):
    """Of the second engine, entered on the list by name."""
    name = f"{Network.__module__}.{Network.__qualname__}"
    monkeypatch.setitem(module.PROBES, name, f"{__name__}.NumpyProbe")
    return ExplainedModel.of(Network())


def in_torch(network):
    """The same network as a module in float64."""
    last = nn.Linear(3, 2, bias=False)
    first = nn.Conv2d(1, 3, 1)
    with torch.no_grad():
        first.weight[:], first.bias[:] = torch.tensor(network.a).view(3, 1, 1, 1), torch.tensor(network.b)
        last.weight[:] = torch.tensor(network.w.T)
    maps = nn.Sequential(first, nn.ReLU())
    net = nn.Sequential(maps, nn.AdaptiveAvgPool2d(1), nn.Flatten(), last).double()
    with torch.no_grad():  # once more, since float32 rounded them
        first.weight[:], first.bias[:] = torch.tensor(network.a).view(3, 1, 1, 1), torch.tensor(network.b)
        last.weight[:] = torch.tensor(network.w.T)
    return ExplainedModel(network, network.preprocess, TorchProbe(net), "0")


def images(count=4):
    return np.random.default_rng(3).integers(0, 256, (count, SIDE, SIDE, 1), np.uint8)


@pytest.mark.parametrize("name", list(methods))
def test_each_method_gives_the_same_map_by_either_engine(model, name):
    targets = np.array([0, 1, 1, 0])
    ours, theirs = (
        explain_images(each, images(), methods[name], targets=targets)
        for each in (model, in_torch(model.predictor))
    )
    assert ours.refused == theirs.refused and ours.heat_maps.any()
    np.testing.assert_allclose(ours.heat_maps, theirs.heat_maps, atol=1e-6 * np.abs(ours.heat_maps).max())


def test_attacks_and_fresh_weights_go_through_the_probe(model):
    targets = np.array([0, 1, 1, 0])
    attacked = fgsm(model, images(), targets, epsilon=3)
    assert np.array_equal(attacked, fgsm(in_torch(model.predictor), images(), targets, epsilon=3))
    fresh = reinitialised(model, seed=4)
    assert isinstance(fresh.inside(), NumpyProbe) and fresh.inside().network is fresh.predictor
    assert not np.allclose(fresh.predictor.a, model.predictor.a)


def test_a_view_that_needs_more_than_a_probe_is_refused_in_a_line(model):
    assert [each.maps.shape for each in feature_maps(model, images()[0])] == [(3, SIDE, SIDE)]
    with pytest.raises(UserError, match="NumpyProbe does not show what was learned but for --show maps"):
        first_filters(model)
    with pytest.raises(UserError, match="only the predictions of this network are at hand"):
        first_filters(ExplainedModel(model.predictor, model.preprocess))


def test_a_predictor_that_is_not_on_the_list_has_no_probe():
    class Derived(Network):
        """Of another name, and derived from nothing that is on the list."""

    assert probe_of(Derived()) is None and reinitialised(ExplainedModel.of(Derived())) is None


def test_what_is_derived_from_a_listed_class_has_its_probe(model):
    class Derived(Network):
        """Of a class that is on the list."""

    assert isinstance(probe_of(Derived()), NumpyProbe)
