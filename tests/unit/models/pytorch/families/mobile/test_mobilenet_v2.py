from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import Residual, StochasticDepth, conv_norm
from convscope.models.pytorch.families.mobile.mobilenet_v2 import inverted_residual
from convscope.models.pytorch.families.residual.attention import SqueezeExcite
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create

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


def designed(**options):
    with torch.device("meta"):
        return create("mobilenet_v2", options=options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "millions", "macs"), [(1.0, 3.47, 300), (1.4, 6.06, 582), (0.75, 2.61, 209), (0.5, 1.95, 97)]
)
def test_other_widths_are_as_their_authors_count(width, millions, macs):
    """The table beside their trained weights (TensorFlow Models, slim/nets/mobilenet), without batch norm."""
    net = designed(width=width)
    norms = sum(p.numel() for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    summary = summarise(net)
    assert (summary.parameters - norms) / 1e6 == pytest.approx(millions, abs=0.006)
    assert summary.macs / 1e6 == pytest.approx(macs, abs=1)


def test_the_count_takes_in_as_many_norms_as_the_deviation_says():
    net = designed()
    norms = sum(p.numel() for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert f"{norms:,} numbers of batch norm" in net.spec.deviations


@pytest.mark.slow
def test_a_thinner_network_keeps_its_last_convolution():
    assert [designed(width=width).body.last[0].out_channels for width in (0.5, 1.0, 1.4)] == [
        1280,
        1280,
        1792,
    ]


def test_ten_of_seventeen_blocks_add():
    blocks = [
        block for name, stage in designed().stages.items() if name.startswith("stage") for block in stage
    ]
    assert (len(blocks), sum(isinstance(block, Residual) for block in blocks)) == (17, 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "sides"), [(224, (112, 112, 56, 28, 14, 14, 7, 7, 7)), (32, (32, 32, 32, 16, 8, 8, 4, 4, 4))]
)
def test_maps_halve_where_the_docstring_says(side, sides):
    with torch.device("meta"):
        net = create("mobilenet_v2", input_shape=(1, side, side))
        maps = net.eval().features(torch.zeros(1, 1, side, side)).values()
    widths = (32, 16, 24, 32, 64, 96, 160, 320, 1280)
    assert [tuple(m.shape[1:]) for m in maps] == [(c, s, s) for c, s in zip(widths, sides, strict=True)]


def test_a_fraction_that_drops_everything_is_refused():
    with pytest.raises(UserError, match=r"dropout is 1\.0; give a fraction from 0"):
        designed(dropout=1.0)
