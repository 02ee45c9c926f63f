from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.models.pytorch.families.residual.attention import (
    ChannelAndSpatialGate,
    ChannelGate,
    SpatialGate,
    SqueezeExcite,
)
from convscope.models.pytorch.load_weights import load_weights
from convscope.models.pytorch.torchvision_cpu import import_torchvision


def test_squeeze_and_excite_is_its_formula():
    block = SqueezeExcite(6, 2).double()
    x = torch.randn(3, 6, 4, 5, dtype=torch.float64)
    w1, w2 = (layer.weight[:, :, 0, 0] for layer in (block.fc1, block.fc2))
    gates = 1 / (
        1 + torch.exp(-((x.mean((2, 3)) @ w1.T + block.fc1.bias).clamp(min=0) @ w2.T + block.fc2.bias))
    )
    assert torch.allclose(block(x), x * gates[:, :, None, None], rtol=1e-12, atol=1e-14)


def test_a_gate_that_is_open_changes_nothing_and_a_shut_one_leaves_nothing():
    block, x = SqueezeExcite(6, 2), torch.randn(3, 6, 4, 5)
    nn.init.zeros_(block.fc2.weight)
    for bias, factor in ((100.0, 1.0), (0.0, 0.5), (-200.0, 0.0)):
        nn.init.constant_(block.fc2.bias, bias)
        assert torch.equal(block(x), factor * x)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("activation", "gate"), [(nn.ReLU, nn.Sigmoid), (nn.SiLU, nn.Sigmoid), (nn.ReLU, nn.Hardsigmoid)]
)
def test_torchvision_has_the_same_block_under_the_same_names(activation, gate):
    theirs = import_torchvision().ops.SqueezeExcitation(8, 3, activation, gate).double()
    ours = SqueezeExcite(8, 3, activation=activation, gate=gate).double()
    assert load_weights(ours, theirs.state_dict()).whole
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    assert torch.allclose(ours(x), theirs(x), rtol=1e-12, atol=1e-14)


def test_the_gate_of_maps_lets_mean_and_maximum_vote():
    block = ChannelGate(6, 2).double()
    x = torch.randn(3, 6, 4, 5, dtype=torch.float64)
    w1, w2 = (layer.weight[:, :, 0, 0] for layer in (block.fc1, block.fc2))
    votes = [
        (v @ w1.T + block.fc1.bias).clamp(min=0) @ w2.T + block.fc2.bias
        for v in (x.mean((2, 3)), x.amax((2, 3)))
    ]
    gates = 1 / (1 + torch.exp(-(votes[0] + votes[1])))
    assert torch.allclose(block(x), x * gates[:, :, None, None], rtol=1e-12, atol=1e-14)


def test_the_gate_of_positions_is_its_formula():
    block = SpatialGate().double().eval()
    block.bn.running_mean.fill_(0.3)
    block.bn.running_var.fill_(2.0)
    x = torch.randn(2, 5, 8, 9, dtype=torch.float64)
    padded = nn.functional.pad(torch.stack([x.mean(1), x.amax(1)], 1), (3, 3, 3, 3))
    expected = torch.empty_like(x)
    for i in range(8):
        for j in range(9):
            score = (padded[:, :, i : i + 7, j : j + 7] * block.conv.weight).sum((1, 2, 3))
            gate = 1 / (1 + torch.exp(-(score - 0.3) / (2.0 + block.bn.eps) ** 0.5))
            expected[:, :, i, j] = x[:, :, i, j] * gate[:, None]
    assert torch.allclose(block(x), expected, rtol=1e-12, atol=1e-14)


def test_cbam_asks_for_maps_first_and_for_positions_then():
    block, x = ChannelAndSpatialGate(6, 2).eval(), torch.randn(2, 6, 8, 8)
    assert torch.equal(block(x), block.spatial(block.channel(x)))
    assert not torch.allclose(block(x), block.channel(block.spatial(x)))
    assert [name for name, _ in block.named_children()] == ["channel", "spatial"]
