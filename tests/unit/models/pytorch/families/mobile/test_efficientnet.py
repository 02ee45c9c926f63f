from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import Residual, StochasticDepth, conv_norm
from convscope.models.pytorch.families.mobile.efficientnet import STAGES, Row, fused_mbconv, mbconv
from convscope.models.pytorch.families.residual.attention import SqueezeExcite
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create

silu = partial(conv_norm, activation=nn.SiLU)
both = pytest.mark.parametrize("version", ["b0", "v2_s"])


def designed(version, **options):
    with torch.device("meta"):
        return create(f"efficientnet_{version}", options=options)


def blocks(net):
    return [block for name, part in net.stages.items() if name.startswith("stage") for block in part]


@pytest.mark.parametrize("expansion", [1, 4])
@pytest.mark.parametrize(("outputs", "stride"), [(6, 1), (8, 1), (6, 2)])
def test_a_fused_block_equals_its_formula(expansion, outputs, stride):
    row = Row(True, expansion, 3, outputs, 1, stride)
    block = fused_mbconv(6, row, stride=stride, layer=silu, drop=0.0).eval().double()
    x = torch.randn(2, 6, 7, 7, dtype=torch.float64)
    fused, norm, _ = block.fused
    expected = F.silu(norm(F.conv2d(x, fused.weight, stride=stride, padding=1)))
    if expansion == 4:
        assert fused.out_channels == 24
        expected = block.project[1](F.conv2d(expected, block.project[0].weight))
    assert isinstance(block, Residual) == (stride == 1 and outputs == 6)
    assert torch.allclose(
        block(x), expected + x if isinstance(block, Residual) else expected, rtol=1e-12, atol=1e-12
    )


def test_a_fused_block_multiplies_more_and_moves_less():
    """Section 3.2 of the second paper: the ordinary convolution is the dearer one on paper alone."""
    row = Row(True, 4, 3, 24, 1, 1)
    fused = summarise(fused_mbconv(24, row, stride=1, layer=silu, drop=0.0), (24, 32, 32))
    apart = summarise(mbconv(24, row, stride=1, layer=silu, drop=0.0), (24, 32, 32))
    assert fused.macs > 3 * apart.macs
    assert len(fused.rows) < len(apart.rows) / 2


@pytest.mark.slow
@both
def test_gates_squeeze_to_a_quarter_of_what_a_block_gets(version):
    net = designed(version)
    got = [block.squeeze.fc1.out_channels for block in blocks(net) if hasattr(block, "squeeze")]
    inputs = {"b0": 32, "v2_s": 24}[version]
    expected = []
    for row in STAGES[version]:
        for _ in range(row.blocks):
            expected += [] if row.fused else [inputs // 4]
            inputs = row.outputs
    assert got == expected
    gates = [m for m in net.modules() if isinstance(m, SqueezeExcite)]
    assert len(gates) == {"b0": 16, "v2_s": 30}[version]
    assert all(isinstance(gate.activation, nn.SiLU) for gate in gates)


@pytest.mark.slow
@both
def test_deeper_blocks_are_left_out_more_often(version):
    made = blocks(designed(version, stochastic_depth=0.4))
    rates = [next((layer.p for layer in block if isinstance(layer, StochasticDepth)), None) for block in made]
    for place, (block, rate) in enumerate(zip(made, rates, strict=True)):
        adds = isinstance(block, Residual) and place > 0
        assert rate == (pytest.approx(0.4 * place / len(made)) if adds else None)
    assert not any(
        isinstance(layer, StochasticDepth) for layer in designed(version, stochastic_depth=0.0).modules()
    )


@pytest.mark.slow
def test_training_draws_and_evaluation_does_not():
    net = create("efficientnet_b0", input_shape=(3, 32, 32), classes=10, options={"stochastic_depth": 0.9})
    x = torch.randn(8, 3, 32, 32)
    with torch.no_grad():
        draws = [net.train()(x) for _ in range(2)]
        net.eval()
        assert not torch.equal(*draws) and torch.equal(net(x), net(x))


@pytest.mark.slow
@both
def test_norms_have_the_floor_that_the_weights_were_trained_with(version):
    norms = {m.eps for m in designed(version).modules() if isinstance(m, nn.BatchNorm2d)}
    assert norms == {{"b0": 1e-5, "v2_s": 1e-3}[version]}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "side", "sides"),
    [
        ("b0", 224, (112, 112, 56, 28, 14, 14, 7, 7, 7)),
        ("b0", 32, (32, 32, 32, 16, 8, 8, 4, 4, 4)),
        ("v2_s", 384, (192, 192, 96, 48, 24, 24, 12, 12)),
        ("v2_s", 32, (32, 32, 32, 16, 8, 8, 4, 4)),
    ],
)
def test_maps_halve_where_the_docstring_says(version, side, sides):
    with torch.device("meta"):
        net = create(f"efficientnet_{version}", input_shape=(3, side, side))
        maps = net.eval().features(torch.zeros(1, 3, side, side)).values()
    widths = ({"b0": 32, "v2_s": 24}[version], *(row.outputs for row in STAGES[version]), 1280)
    assert [tuple(m.shape[1:]) for m in maps] == [(c, s, s) for c, s in zip(widths, sides, strict=True)]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("version", "b1", "no version of efficientnet 'b1'; did you mean 'b0'"),
        ("stochastic_depth", 1.0, r"stochastic_depth is 1\.0; give a fraction from 0"),
        ("dropout", -0.1, r"dropout is -0\.1; give a fraction from 0"),
    ],
)
def test_options_that_are_none_are_refused(option, value, message):
    with pytest.raises(UserError, match=message):
        create("efficientnet_b0", options={option: value})
