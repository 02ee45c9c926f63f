from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.models.pytorch.families.residual.preact_resnet import Block
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants


def count_of(depth, width, channels=3, classes=10):
    """Parameters by Zagoruyko's table 1: WRN-depth-width has (depth − 4) / 6 blocks of two 3×3 convolutions a
    stage.
    """
    n = (depth - 4) // 6
    total, inputs = 9 * channels * 16, 16
    for outputs in (16 * width, 32 * width, 64 * width):
        total += 9 * outputs * (inputs + (2 * n - 1) * outputs)  # 3×3
        total += 2 * inputs + 2 * (2 * n - 1) * outputs  # norms, each before its convolution
        total += inputs * outputs if inputs != outputs else 0  # the shortcut
        inputs = outputs
    return total + 2 * inputs + inputs * classes + classes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "width", "millions"),
    [(40, 1, 0.6), (40, 2, 2.2), (40, 4, 8.9), (40, 8, 35.7), (28, 10, 36.5), (28, 12, 52.5), (22, 8, 17.2)],
)
def test_counts_equal_the_formula_and_table_4(depth, width, millions):
    n, channels = (depth - 4) // 6, (16, 16 * width, 32 * width, 64 * width)
    with torch.device("meta"):
        net = create("wrn_28_10", options={"blocks": (n, n, n), "channels": channels})
    count = sum(p.numel() for p in net.parameters())
    assert count == count_of(depth, width) and round(count / 1e6, 1) == millions


@settings(max_examples=10)
@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([1, 3]), st.integers(2, 20))
def test_other_wide_networks_follow_the_formula(n, width, channels, classes):
    options = {"blocks": (n, n, n), "channels": (16, 16 * width, 32 * width, 64 * width)}
    net = create("wrn_28_10", input_shape=(channels, 8, 8), classes=classes, options=options)
    assert sum(p.numel() for p in net.parameters()) == count_of(6 * n + 4, width, channels, classes)


def test_layers_are_as_many_as_the_names_say():
    """Wide ResNets count every convolution; the others those that are no shortcut, and the linear layer."""
    with torch.device("meta"):
        wide_net, thin = create("wrn_28_10"), create("preact_resnet18")
    assert sum(isinstance(m, nn.Conv2d) for m in wide_net.modules()) == 28
    layers = [
        n for n, m in thin.named_modules() if isinstance(m, nn.Conv2d | nn.Linear) and "shortcut" not in n
    ]
    assert len(layers) == 18


def seen(block):
    """The block in float64, for evaluation, with norms that do something."""
    for norm in (block.norm1, block.norm2):
        for values in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
            values.uniform_(0.5, 1.5)
    return block.double().eval()


def active(x, norm):
    shape = (1, -1, 1, 1)
    mean, var, weight, bias = (
        v.view(shape) for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return ((x - mean) / (var + norm.eps).sqrt() * weight + bias).clamp(min=0)


@pytest.mark.parametrize(("inputs", "stride"), [(6, 1), (4, 1), (6, 2), (4, 2)])
def test_a_block_is_its_formula(inputs, stride):
    block = seen(Block(inputs, 6, stride=stride, dropout=0.5))
    x = torch.randn(2, inputs, 7, 8, dtype=torch.float64)
    a = active(x, block.norm1)
    change = F.conv2d(a, block.conv1.weight, stride=stride, padding=1)
    change = F.conv2d(active(change, block.norm2), block.conv2.weight, padding=1)
    if (inputs, stride) == (6, 1):
        short = x
    else:
        short = torch.einsum("oi,nihw->nohw", block.shortcut.weight[:, :, 0, 0], a)[:, :, ::stride, ::stride]
    assert torch.allclose(block(x), short + change, rtol=1e-12, atol=1e-12)


def test_nothing_stands_on_the_shortcut():
    """What blocks pass on is x plus their changes, below 0 too: so a gradient comes back whole (equation
    5)."""
    blocks = nn.Sequential(*(Block(4, 4, stride=1, dropout=0.0) for _ in range(5))).eval()
    for block in blocks:
        nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    passed = blocks(x)
    assert torch.equal(passed, x) and passed.min() < 0
    passed.backward(torch.full_like(passed, 3.0))
    assert torch.equal(x.grad, torch.full_like(x, 3.0))


def test_the_last_maps_are_activated_and_those_before_are_not():
    maps = create("preact_resnet18", input_shape=(3, 32, 32)).features(torch.randn(2, 3, 32, 32))
    *before, last = maps.values()
    assert last.min() == 0 and all(m.min() < 0 for m in before)


def test_dropout_works_in_training_alone_and_between_the_convolutions():
    x = torch.randn(2, 8, 6, 6)
    block = Block(8, 8, stride=1, dropout=0.9)
    assert not torch.equal(block(x), block(x))
    assert torch.equal(block.eval()(x), block(x))
    block.train().dropout.register_forward_hook(lambda layer, inputs, output: torch.zeros_like(output))
    assert torch.equal(block(x), x)


@pytest.mark.slow
def test_maps_at_full_size_and_in_the_small_form():
    sizes = {}
    for name, side in (
        ("preact_resnet18", 224),
        ("preact_resnet18", 32),
        ("wrn_28_10", 32),
        ("wrn_28_10", 96),
    ):
        with torch.device("meta"):
            net = create(name, input_shape=(3, side, side))
            maps = net.eval().features(torch.zeros(1, 3, side, side))
        sizes[name, side] = [(m.shape[1], m.shape[2]) for m in maps.values()]
    assert sizes["preact_resnet18", 224] == [(64, 56), (64, 56), (128, 28), (256, 14), (512, 7)]
    assert sizes["preact_resnet18", 32] == [(64, 32), (64, 32), (128, 16), (256, 8), (512, 4)]
    assert sizes["wrn_28_10", 32] == [(16, 32), (160, 32), (320, 16), (640, 8)]
    assert sizes["wrn_28_10", 96] == [(16, 96), (160, 96), (320, 48), (640, 24)]
    assert not variants["wrn_28_10"].spec.small


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": (16, 32)}, r"channels \[16, 32\] do not fit blocks \[4, 4, 4\]; give the stem's"),
        ({"blocks": (1, 1)}, r"do not fit blocks \[1, 1\]"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout": -0.1}, "dropout is -0.1"),
        ({"blocks": (0, 1, 1)}, "above 0"),
    ],
)
def test_options_that_make_no_network_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        create("wrn_28_10", options=options)
