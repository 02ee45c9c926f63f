from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.models.pytorch.attention import SqueezeExcite
from convscope.models.pytorch.load_weights import load_weights
from convscope.models.pytorch.torchvision_cpu import import_torchvision


def test_squeeze_and_excite_is_its_formula():
    block = SqueezeExcite(6, 2).double()
    x = torch.randn(3, 6, 4, 5, dtype=torch.float64)
    w1, w2 = (layer.weight[:, :, 0, 0] for layer in (block.fc1, block.fc2))
    gates = 1 / (1 + torch.exp(-((x.mean((2, 3)) @ w1.T + block.fc1.bias).clamp(min=0) @ w2.T + block.fc2.bias)))
    assert torch.allclose(block(x), x * gates[:, :, None, None], rtol=1e-12, atol=1e-14)


def test_a_gate_that_is_open_changes_nothing_and_a_shut_one_leaves_nothing():
    block, x = SqueezeExcite(6, 2), torch.randn(3, 6, 4, 5)
    nn.init.zeros_(block.fc2.weight)
    for bias, factor in ((100.0, 1.0), (0.0, 0.5), (-200.0, 0.0)):
        nn.init.constant_(block.fc2.bias, bias)
        assert torch.equal(block(x), factor * x)


@pytest.mark.parametrize(
    ("activation", "gate"), [(nn.ReLU, nn.Sigmoid), (nn.SiLU, nn.Sigmoid), (nn.ReLU, nn.Hardsigmoid)]
)
def test_torchvision_has_the_same_block_under_the_same_names(activation, gate):
    theirs = import_torchvision().ops.SqueezeExcitation(8, 3, activation, gate).double()
    ours = SqueezeExcite(8, 3, activation=activation, gate=gate).double()
    assert load_weights(ours, theirs.state_dict()).whole
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    assert torch.allclose(ours(x), theirs(x), rtol=1e-12, atol=1e-14)
