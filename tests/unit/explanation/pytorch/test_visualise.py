"""What figures need of a PyTorch network: the right layer, its features, and no field that is too small."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.explanation.pytorch.visualise import first_filters, last_features, last_layer, receptive_fields
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from rounding import same_but_for_rounding


class Backwards(nn.Module):
    """Its layers are defined in another order than that in which they are called."""

    def __init__(self):
        super().__init__()
        self.second = nn.Conv2d(4, 2, 3)
        self.first = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.second(self.first(x)).mean((2, 3))


def test_the_first_that_is_called_counts_and_not_the_first_that_is_defined():
    net = Backwards()
    layer, weights = first_filters(net, torch.zeros(1, 3, 8, 8))
    assert layer == "first" and np.allclose(weights, net.first.weight.detach().numpy())


def test_without_a_convolution_there_is_a_reason():
    with pytest.raises(UserError, match="Sequential has no convolution that an image comes to"):
        first_filters(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.zeros(1, 1, 2, 2))


def test_the_features_are_what_the_last_linear_layer_gets():
    torch.manual_seed(0)
    net, x = create("small_cnn", input_shape=(1, 12, 12), classes=3).eval(), torch.randn(5, 1, 12, 12)
    layer = last_layer(net, x[:1])
    features, logits = last_features(net, x, layer)
    assert layer == "head.4" and same_but_for_rounding(logits.detach(), net(x).detach())
    assert torch.allclose(features.float() @ net.head[4].weight.T + net.head[4].bias, logits, atol=1e-5)
    assert not net.head[4]._forward_hooks


def test_a_network_without_a_linear_layer_gives_the_mean_of_its_last_maps():
    net = nn.Sequential(
        nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    x = torch.randn(4, 1, 12, 12)
    assert last_layer(net, x[:1]) == "3"
    assert torch.allclose(last_features(net, x, "3")[0].float(), net(x))
    with pytest.raises(UserError, match="feature maps"):
        last_layer(nn.Sequential(nn.Flatten()), x[:1])


def test_features_of_tokens_are_averaged():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.last = nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return self.last(self.conv(x).flatten(2).transpose(1, 2)).mean(1)

    net, x = Tokens(), torch.randn(2, 1, 5, 5)
    assert torch.allclose(last_features(net, x, "last")[0].float(), net.conv(x).mean((2, 3)), atol=1e-6)


def test_the_theory_is_that_of_the_summary():
    net = create("deeper_cnn", input_shape=(1, 32, 32), classes=3)
    found = receptive_fields(net, torch.zeros(1, 1, 32, 32), net.stages)
    rows = {row.name: row for row in summarise(net).rows}
    for stage, field in found.items():
        last = [row for name, row in rows.items() if name.startswith(f"{stage}.")][-1]
        assert (field.size, field.stride) == (last.receptive_field, last.stride)
