from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import Residual, StochasticDepth
from convscope.models.pytorch.families.residual.convnext import ChannelNorm, LayerScale, block, halve
from convscope.models.pytorch.zoo import create

SMALL = {"channels": [8, 16, 24, 32], "blocks": [1, 1, 2, 1]}


def maps_of(side, **options):
    with torch.device("meta"):
        net = create("convnext_tiny", input_shape=(3, side, side), options=options)
        return [tuple(m.shape[1:]) for m in net.eval().features(torch.zeros(1, 3, side, side)).values()]


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 8), st.integers(1, 5), st.integers(1, 5), st.integers(0, 10**6), st.booleans())
def test_the_norm_is_over_the_maps_of_each_position(maps, height, width, seed, channels_last):
    generator = torch.Generator().manual_seed(seed)
    x = 5 + 3 * torch.randn(2, maps, height, width, dtype=torch.float64, generator=generator)
    x = x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    norm = ChannelNorm(maps, eps=1e-3).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0)
    expected = (x - mean) / (variance + 1e-3).sqrt() * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
    assert torch.allclose(norm(x), expected, rtol=1e-10, atol=1e-10)


def test_a_block_equals_its_formula():
    made = block(6, drop=0.0).double()
    nn.init.uniform_(made.scale.weight, 0.5, 1.5)
    x = torch.randn(2, 6, 9, 8, dtype=torch.float64)
    seen = F.conv2d(x, made.depthwise.weight, made.depthwise.bias, padding=3, groups=6)
    places = F.layer_norm(seen.permute(0, 2, 3, 1), (6,), made.norm.weight, made.norm.bias, 1e-6)
    wide = F.gelu(F.linear(places, made.expand.weight[:, :, 0, 0], made.expand.bias))
    narrow = F.linear(wide, made.project.weight[:, :, 0, 0], made.project.bias) * made.scale.weight.flatten()
    assert wide.shape[-1] == 24
    assert torch.allclose(made(x), x + narrow.permute(0, 3, 1, 2), rtol=1e-12, atol=1e-12)


def test_a_fresh_block_is_nearly_nothing():
    made = block(16, drop=0.0)
    assert torch.equal(made.scale.weight, torch.full((16, 1, 1), 1e-6))
    x = torch.randn(2, 16, 8, 8)
    assert 0 < (made(x) - x).abs().max() < 1e-4


def test_each_map_has_a_scale_of_its_own():
    scale = LayerScale(3)
    with torch.no_grad():
        scale.weight.copy_(torch.tensor([1.0, 2.0, 0.0]).view(3, 1, 1))
    assert torch.equal(scale(torch.ones(2, 3, 4, 5)).mean((2, 3)), torch.tensor([[1.0, 2.0, 0.0]] * 2))


@pytest.mark.parametrize(("side", "halved"), [(8, 4), (9, 4), (2, 1)])
def test_halving_norms_first(side, halved):
    made = halve(4, 6)
    x = torch.randn(2, 4, side, side)
    assert made(x).shape == (2, 6, halved, halved)
    # Behind a norm the size of the numbers is forgotten.
    assert torch.allclose(made(100 * x), made(x), atol=1e-3)


def test_blocks_are_left_out_evenly_more_often():
    net = create("convnext_tiny", input_shape=(3, 32, 32), options=SMALL | {"stochastic_depth": 0.4})
    rates = [layer.p for layer in net.modules() if isinstance(layer, StochasticDepth)]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert sum(isinstance(layer, Residual) for layer in net.modules()) == 5


def test_one_block_alone_is_never_left_out():
    net = create("convnext_tiny", input_shape=(3, 32, 32), options={"channels": [8], "blocks": [1]})
    assert [layer.p for layer in net.modules() if isinstance(layer, StochasticDepth)] == [0.0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "sides"), [(224, (56, 56, 28, 14, 7)), (64, (69, 69, 34, 17, 8)), (28, (33, 33, 16, 8, 4))]
)
def test_maps_halve_where_the_docstring_says(side, sides):
    widths = (96, 96, 192, 384, 768)
    assert maps_of(side) == [(c, s, s) for c, s in zip(widths, sides, strict=True)]


def test_weights_of_the_designed_form_fit_the_small_one():
    small = create("convnext_tiny", input_shape=(3, 32, 32), classes=1000, options=SMALL)
    small.load_state_dict(create("convnext_tiny", options=SMALL).state_dict())


def test_channels_stay_last():
    net = (
        create("convnext_tiny", input_shape=(3, 32, 32), options=SMALL)
        .to(memory_format=torch.channels_last)
        .eval()
    )
    x = torch.randn(2, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert all(m.is_contiguous(memory_format=torch.channels_last) for m in net.features(x).values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"blocks": [3, 3, 9]},
            r"channels \[96, .*\] and blocks \[3, 3, 9\] differ in number; give one each a stage",
        ),
        ({"stochastic_depth": -0.1}, r"stochastic_depth is -0\.1; give a fraction from 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        create("convnext_tiny", options=options)
