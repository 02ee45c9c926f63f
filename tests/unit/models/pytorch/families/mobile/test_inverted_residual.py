from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convscope.models.pytorch.blocks import Residual, conv_norm
from convscope.models.pytorch.families.mobile.inverted_residual import inverted_residual
from convscope.models.pytorch.families.residual.attention import SqueezeExcite
from convscope.models.pytorch.families.residual.stochastic_depth import StochasticDepth

relu6 = partial(conv_norm, activation=nn.ReLU6)


def lively(block):
    """In float64, at evaluation, with norms that do something."""
    for layer in block.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return block.eval().double()


def by_hand(block, x, *, stride=1):
    """Section 3.3 of the paper, layer by layer."""
    for name in ("expand", "depthwise", "project"):
        if not hasattr(block, name):
            continue
        convolution, norm, *_ = getattr(block, name)
        wide = name == "depthwise"
        size = (
            {"stride": stride, "padding": convolution.kernel_size[0] // 2, "groups": x.shape[1]}
            if wide
            else {}
        )
        x = norm(F.conv2d(x, convolution.weight, **size))
        x = x if name == "project" else x.clamp(0, 6)
    return x


@pytest.mark.parametrize(("inputs", "expanded", "outputs"), [(4, 24, 4), (4, 24, 6), (4, 4, 4), (4, 4, 3)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5])
def test_a_block_equals_its_formula(inputs, expanded, outputs, stride, kernel):
    block = lively(inverted_residual(inputs, expanded, outputs, layer=relu6, stride=stride, kernel=kernel))
    x = 3 * torch.randn(2, inputs, 9, 8, dtype=torch.float64)
    adds = stride == 1 and inputs == outputs
    expected = by_hand(block, x, stride=stride) + (x if adds else 0)
    assert isinstance(block, Residual) == adds
    assert torch.allclose(block(x), expected, rtol=1e-12, atol=1e-12)


def test_nothing_expands_where_the_width_stays():
    assert [name for name, _ in inverted_residual(8, 8, 4, layer=relu6).named_children()] == [
        "depthwise",
        "project",
    ]


def test_the_projection_is_linear():
    kinds = [type(layer) for layer in inverted_residual(8, 16, 4, layer=relu6).project]
    assert kinds == [nn.Conv2d, nn.BatchNorm2d]


def test_the_wide_maps_are_squeezed():
    gate = SqueezeExcite(24, 6)
    block = lively(inverted_residual(4, 24, 5, layer=relu6, squeeze=gate))
    x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    assert torch.equal(block(x), block.project(gate(block.depthwise(block.expand(x)))))


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10**6))
def test_a_dropped_block_passes_on_what_it_got(seed):
    torch.manual_seed(seed)
    block = inverted_residual(4, 8, 4, layer=relu6, drop=0.5)
    x = torch.randn(32, 4, 5, 5)
    passed = (block(x) == x).flatten(1).all(1)
    assert 0 < passed.sum() < 32


def test_only_what_is_added_can_be_dropped():
    def drops(**changes):
        block = inverted_residual(4, 8, **({"outputs": 4, "layer": relu6, "drop": 0.5} | changes))
        return sum(isinstance(layer, StochasticDepth) for layer in block.modules())

    assert [drops(), drops(drop=0.0), drops(stride=2), drops(outputs=5)] == [1, 0, 0, 0]
