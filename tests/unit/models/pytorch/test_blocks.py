from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import (
    Branches,
    Residual,
    StochasticDepth,
    conv,
    conv_norm,
    conv_pool,
    conv_relu,
    pool,
    pooled_stages,
    scaled,
)


def textbook(stage: nn.Sequential) -> nn.Sequential:
    """The same layers, with the ReLU where textbooks have it: before the pool."""
    *before, pooling, relu = stage
    return nn.Sequential(*before, relu, pooling)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    channels=st.sampled_from([1, 3]),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    norm=st.booleans(),
    ties=st.booleans(),
)
def test_max_pool_before_relu_is_exact(seed, channels, height, width, norm, ties):
    """Forward and every gradient are equal bit for bit, also where values tie or are all below 0."""
    generator = torch.Generator().manual_seed(seed)
    stage = conv_pool(channels, 4, norm=norm)
    images = torch.randn(3, channels, height, width, generator=generator)
    if ties:
        images = images.round()
        with torch.no_grad():
            for parameter in stage.parameters():
                parameter.copy_(torch.randint(-1, 2, parameter.shape, generator=generator))
    results = []
    for layers in (stage, textbook(stage)):
        stage.zero_grad()
        x = images.clone().requires_grad_()
        y = layers(x)
        (y * torch.arange(1.0, 1 + y.numel()).view_as(y)).sum().backward()
        results.append([y.detach(), x.grad, *(p.grad.clone() for p in stage.parameters())])
    for ours, theirs in zip(*results, strict=True):
        assert torch.equal(ours, theirs)


def test_max_pool_before_relu_is_exact_in_bfloat16_and_with_zeros():
    x = torch.tensor([[-1.0, 0.0, 2.0, 2.0], [-0.0, -3.0, 2.0, 1.0]]).view(1, 1, 2, 4)
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (x.to(dtype, copy=True).requires_grad_() for _ in range(2))
        first, second = torch.relu(pool("max")(a)), pool("max")(torch.relu(b))
        assert torch.equal(first, second)
        first.sum().backward()
        second.sum().backward()
        assert torch.equal(a.grad, b.grad)
        assert a.grad.count_nonzero() == 1  # the first of the three twos; a maximum of 0 passes no gradient


def test_an_average_stays_behind_the_relu():
    stage = conv_pool(3, 4, pooling="average")
    assert [type(layer) for layer in stage] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.AvgPool2d]
    x = torch.randn(2, 3, 6, 6)
    assert not torch.allclose(stage(x), textbook(stage)(x))


def test_depth_repeats_the_convolution_and_pools_once():
    kinds = [type(layer).__name__ for layer in conv_pool(3, 4, norm=False, depth=3)]
    assert kinds == ["Conv2d", "ReLU", "Conv2d", "ReLU", "Conv2d", "MaxPool2d", "ReLU"]
    with pytest.raises(UserError, match="depth is 0"):
        conv_pool(3, 4, depth=0)


@given(st.integers(0, 6).map(lambda n: 2 * n + 1), st.integers(1, 12), st.integers(1, 12))
@settings(deadline=None, max_examples=20)
def test_an_odd_kernel_keeps_the_size(kernel, height, width):
    assert conv(1, 2, kernel)(torch.zeros(1, 1, height, width)).shape == (1, 2, height, width)


@pytest.mark.parametrize("kernel", [0, 2, 4, -1, -2])
def test_an_even_kernel_is_refused(kernel):
    with pytest.raises(UserError, match="not odd"):
        conv(1, 2, kernel)


def test_a_convolution_needs_a_width():
    with pytest.raises(UserError, match="give a width of 1 or more"):
        conv(3, 0)


@pytest.mark.parametrize("groups", [0, -1, 4, 3, 12])
def test_groups_that_do_not_divide_the_maps_are_refused(groups):
    with pytest.raises(UserError, match=f"{groups} groups do not divide 6 and 8 maps"):
        conv(6, 8, groups=groups)
    assert conv(6, 8, groups=2).weight.shape == (8, 3, 3, 3)


def test_convolutions_with_norm_take_strides_and_groups():
    layers = conv_relu(6, 8, 5, stride=2, groups=2)
    assert [type(layer) for layer in layers] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert (layers[0].kernel_size, layers[0].stride, layers[0].groups, layers[0].bias) == (
        (5, 5),
        (2, 2),
        2,
        None,
    )


def test_an_unknown_pooling_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'average'"):
        pool("avrage")


def test_a_bias_goes_where_no_norm_follows():
    assert conv_pool(3, 4, norm=True)[0].bias is None
    assert conv_pool(3, 4, norm=False)[0].bias is not None


def test_stages_chain_their_channels_and_kernels():
    stages = pooled_stages(3, (8, 16, 32), (5, 3, 1), norm=False)
    convs = [stage[0] for stage in stages.values()]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convs] == [
        (3, 8, 5),
        (8, 16, 3),
        (16, 32, 1),
    ]
    with pytest.raises(UserError, match="2 sizes for 3 widths"):
        pooled_stages(3, (8, 16, 32), (5, 3))


def test_a_norm_follows_and_an_activation_where_one_is_wanted():
    assert [type(layer) for layer in conv_norm(4, 8)] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert [type(layer) for layer in conv_norm(4, 8, 1, activation=None)] == [nn.Conv2d, nn.BatchNorm2d]
    depthwise = conv_norm(6, 6, 5, stride=2, groups=6, norm=lambda maps: nn.BatchNorm2d(maps, eps=0.1))
    assert depthwise[0].weight.shape == (6, 1, 5, 5) and depthwise[0].bias is None and depthwise[1].eps == 0.1
    assert depthwise(torch.zeros(2, 6, 7, 8)).shape == (2, 6, 4, 4)


@given(st.integers(1, 2000), st.floats(0.05, 4))
def test_scaled_widths_are_eights_not_far_below(maps, width):
    got = scaled(maps, width)
    assert got % 8 == 0 and got >= 8
    assert 0.9 * maps * width <= got <= max(8, maps * width + 8)


@pytest.mark.parametrize("width", [0.0, -1.0, float("nan"), float("inf")])
def test_a_width_of_nothing_is_refused(width):
    with pytest.raises(UserError, match="give how wide to make every layer, above 0"):
        scaled(32, width)


def test_a_residual_adds_what_came_in():
    layers = [nn.Conv2d(2, 2, 3, padding=1), nn.ReLU()]
    x = torch.randn(2, 2, 5, 5)
    assert torch.equal(Residual(*layers)(x), x + nn.Sequential(*layers)(x))


def test_branches_see_the_same_and_lie_in_order():
    x = torch.randn(2, 3, 6, 6)
    branches = Branches({"b": nn.MaxPool2d(3, 1, 1), "a": nn.Conv2d(3, 2, 1)})
    y = branches(x)
    assert torch.equal(y[:, :3], branches["b"](x)) and torch.equal(y[:, 3:], branches["a"](x))


fractions = st.floats(0, 0.95)


@settings(deadline=None, max_examples=30)
@given(fractions, st.integers(0, 10**6), st.sampled_from([(3,), (2, 3, 4), (1, 1, 1)]))
def test_stochastic_depth_leaves_an_image_whole_or_out(p, seed, shape):
    torch.manual_seed(seed)
    x = torch.randn(50, *shape, dtype=torch.float64)
    got = StochasticDepth(p)(x)
    whole = torch.isclose(got, x / (1 - p)).flatten(1).all(1)
    gone = (got == 0).flatten(1).all(1)
    assert (whole ^ gone).all()


@settings(deadline=None, max_examples=20)
@given(fractions, st.integers(0, 10**6))
def test_stochastic_depth_keeps_the_mean(p, seed):
    torch.manual_seed(seed)
    images = 20_000
    got = StochasticDepth(p)(torch.ones(images, 1, dtype=torch.float64))
    deviation = (p / (1 - p) / images) ** 0.5  # of the mean of Bernoulli draws over 1 − p
    assert abs(got.mean().item() - 1) <= 6 * deviation + 1e-12


@given(fractions)
def test_stochastic_depth_does_nothing_at_evaluation(p):
    x = torch.randn(4, 2, 3, 3)
    assert StochasticDepth(p).eval()(x) is x


def test_with_nothing_to_leave_out_no_number_is_drawn():
    before = torch.get_rng_state()
    x = torch.randn(4, 2)
    torch.set_rng_state(before)
    assert StochasticDepth(0.0)(x) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_the_torch_seed_decides_and_what_is_left_out_learns_nothing():
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        x = torch.ones(64, 2, requires_grad=True)
        got = StochasticDepth(0.5)(x)
        got.sum().backward()
        assert torch.equal(x.grad, got.detach())
        draws.append(got.detach())
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_stochastic_depth_keeps_type_and_memory_format():
    x = torch.randn(8, 4, 3, 3, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    got = StochasticDepth(0.5)(x)
    assert got.dtype == torch.bfloat16 and got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("p", [1.0, -0.1, float("nan")])
def test_a_fraction_outside_0_to_1_is_refused(p):
    with pytest.raises(UserError, match=r"stochastic depth is .*; give a fraction from 0"):
        StochasticDepth(p)


def test_it_is_printed_with_its_fraction():
    assert str(StochasticDepth(0.25)) == "StochasticDepth(p=0.25)"
