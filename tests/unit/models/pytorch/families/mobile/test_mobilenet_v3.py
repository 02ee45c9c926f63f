from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.families.mobile.mobilenet_v3 import STAGES, Row, stage
from convscope.models.pytorch.families.residual.attention import SqueezeExcite
from convscope.models.pytorch.zoo import create

both = pytest.mark.parametrize("size", ["small", "large"])


def designed(size, **options):
    with torch.device("meta"):
        return create(f"mobilenet_v3_{size}", options=options)


def blocks(net):
    return [block for name, part in net.stages.items() if name.startswith("stage") for block in part]


def test_a_stage_takes_its_stride_once_and_every_inner_width():
    made = stage(8, Row(5, (16, 24, 24), 12, True, nn.Hardswish, 2), stride=2)
    assert [block.depthwise[0].stride for block in made] == [(2, 2), (1, 1), (1, 1)]
    assert [block.depthwise[0].kernel_size for block in made] == [(5, 5)] * 3
    assert [block.depthwise[0].out_channels for block in made] == [16, 24, 24]
    assert made(torch.zeros(2, 8, 9, 9)).shape == (2, 12, 5, 5)


@pytest.mark.slow
@both
def test_blocks_are_those_of_the_tables(size):
    """Tables 1 and 2: as many blocks as rows, with squeeze-and-excite and h-swish where they are ticked."""
    net = designed(size)
    made = blocks(net)
    squeezed = {
        "large": [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1],
        "small": [1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1],
    }
    relus = {"large": 6, "small": 3}
    assert [int(hasattr(block, "squeeze")) for block in made] == squeezed[size]
    kinds = [type(block.depthwise[2]) for block in made]
    assert kinds == [nn.ReLU] * relus[size] + [nn.Hardswish] * (len(made) - relus[size])


@pytest.mark.slow
@both
def test_a_quarter_of_the_inner_width_is_squeezed_out(size):
    """Section 5.3, to the nearest multiple of 8 that takes no more than a tenth away."""
    widths = {
        gate.fc1.in_channels: gate.fc1.out_channels
        for gate in designed(size).modules()
        if hasattr(gate, "fc1")
    }
    assert all(n % 8 == 0 and 0.9 * c / 4 <= n <= c / 4 + 8 for c, n in widths.items())
    assert widths[120] == 32 and widths[{"large": 72, "small": 96}[size]] == 24


@pytest.mark.slow
@both
def test_gates_are_hard_and_norms_are_slow(size):
    net = designed(size)
    gates = [m for m in net.modules() if isinstance(m, SqueezeExcite)]
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert gates and all(isinstance(gate.scale_activation, nn.Hardsigmoid) for gate in gates)
    assert {(m.eps, m.momentum) for m in norms} == {(1e-3, 0.01)}


def test_h_swish_is_as_the_paper_writes_it():
    x = torch.linspace(-5, 5, 101, dtype=torch.float64)
    assert torch.allclose(nn.Hardswish()(x), x * (x + 3).clamp(0, 6) / 6, atol=1e-15)
    assert torch.allclose(nn.Hardsigmoid()(x), (x + 3).clamp(0, 6) / 6, atol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "side", "sides"),
    [
        ("large", 224, (112, 112, 56, 28, 14, 14, 7, 7)),
        ("large", 32, (32, 32, 32, 16, 8, 8, 4, 4)),
        ("small", 224, (112, 56, 28, 14, 14, 7, 7)),
        ("small", 32, (32, 32, 16, 8, 8, 4, 4)),
    ],
)
def test_maps_halve_where_the_docstring_says(size, side, sides):
    with torch.device("meta"):
        net = create(f"mobilenet_v3_{size}", input_shape=(3, side, side))
        maps = net.eval().features(torch.zeros(1, 3, side, side)).values()
    last = STAGES[size][-1].outputs
    widths = (16, *(row.outputs for row in STAGES[size]), 6 * last)
    assert [tuple(m.shape[1:]) for m in maps] == [(c, s, s) for c, s in zip(widths, sides, strict=True)]


@pytest.mark.slow
@both
def test_the_head_is_as_wide_as_in_the_tables(size):
    widths = [layer.out_features for layer in designed(size).head if isinstance(layer, nn.Linear)]
    assert widths == [{"large": 1280, "small": 1024}[size], 1000]


def test_an_unknown_size_names_the_nearest():
    with pytest.raises(UserError, match="no size of mobilenet_v3 'smal'; did you mean 'small'"):
        create("mobilenet_v3_small", options={"size": "smal"})
    with pytest.raises(UserError, match=r"dropout is -0\.5; give a fraction from 0"):
        designed("small", dropout=-0.5)
