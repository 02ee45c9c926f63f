from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.models.pytorch.families.residual.attention import ChannelAndSpatialGate, SqueezeExcite
from convscope.models.pytorch.families.residual.resnet import Block, basic, bottleneck
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants

DEEP = ["resnet50", "resnet101", "resnet152"]


def on_paper(name, **options):
    with torch.device("meta"):
        return create(name, options=options)


def seen(residual):
    """The residual block in evaluation, with norms that do something."""
    for norm in (m for m in residual.modules() if isinstance(m, nn.BatchNorm2d)):
        for values in (norm.running_mean, norm.running_var, norm.weight.data, norm.bias.data):
            values.uniform_(0.5, 1.5)
    return residual.double().eval()


def normed(x, norm):
    shape = (1, -1, 1, 1)
    mean, var, weight, bias = (
        v.view(shape) for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / (var + norm.eps).sqrt() * weight + bias


@pytest.mark.parametrize("stride", [1, 2])
def test_a_basic_block_is_its_formula(stride):
    block = seen(Block(basic(4, 6, stride), 4, 6, stride=stride))
    conv1, bn1, _, conv2, bn2 = block.change
    x = torch.randn(2, 4, 7, 8, dtype=torch.float64)
    change = F.conv2d(x, conv1.weight, stride=stride, padding=1)
    change = normed(F.conv2d(normed(change, bn1).clamp(min=0), conv2.weight, padding=1), bn2)
    short = normed(torch.einsum("oi,nihw->nohw", block.shortcut[0].weight[:, :, 0, 0], x), block.shortcut[1])
    expected = (change + short[:, :, ::stride, ::stride]).clamp(min=0)
    assert torch.allclose(block(x), expected, rtol=1e-12, atol=1e-12)


def test_a_bottleneck_is_its_formula():
    block = seen(Block(bottleneck(64, 16, 1, groups=4, group_width=32, stride_in="3x3"), 64, 64, stride=1))
    conv1, bn1, _, conv2, bn2, _, conv3, bn3 = block.change
    assert (conv1.out_channels, conv2.groups, conv2.weight.shape[1]) == (32, 4, 8)
    x = torch.randn(2, 64, 5, 6, dtype=torch.float64)
    inner = normed(F.conv2d(x, conv1.weight), bn1).clamp(min=0)
    parts = [
        F.conv2d(inner[:, 8 * g : 8 * g + 8], conv2.weight[8 * g : 8 * g + 8], padding=1) for g in range(4)
    ]
    change = normed(F.conv2d(normed(torch.cat(parts, 1), bn2).clamp(min=0), conv3.weight), bn3)
    assert torch.allclose(block(x), (x + change).clamp(min=0), rtol=1e-12, atol=1e-12)


def test_a_block_that_learned_nothing_passes_on_what_is_positive():
    block = Block(basic(8, 8, 1), 8, 8, stride=1).eval()
    nn.init.zeros_(block.change[-1].weight)
    x = torch.randn(2, 8, 6, 6)
    assert torch.equal(block(x), x.relu())


@pytest.mark.parametrize(("stride_in", "fraction"), [("1x1", 0.25), ("3x3", 1.0)])
def test_a_stride_in_the_first_1x1_overlooks_three_of_four_positions(stride_in, fraction):
    change = bottleneck(8, 16, 2, groups=1, group_width=64, stride_in=stride_in)
    block = Block(change, 8, 64, stride=2).double()
    x = torch.randn(2, 8, 12, 12, dtype=torch.float64, requires_grad=True)
    block(x).square().sum().backward()
    assert (x.grad != 0).any(1).double().mean() == fraction


@pytest.mark.slow
@pytest.mark.parametrize("name", [*DEEP, "resnet18", "resnet34"])
def test_layers_are_as_many_as_the_name_says(name):
    layers = [
        layer
        for path, layer in on_paper(name).named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "shortcut" not in path
    ]
    assert len(layers) == int(name.removeprefix("resnet"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "published", "torchvision"),
    [("resnet50", 483, 427), ("resnet101", 1027, 971), ("resnet152", 1507, 1451)],
)
def test_the_receptive_field_depends_on_where_the_stride_is(name, published, torchvision):
    """The larger ones are of the form of 2015 (as Araujo, Norris & Sim list them, 2019)."""
    for stride_in, field in (("1x1", published), ("3x3", torchvision)):
        assert summarise(on_paper(name, stride_in=stride_in)).receptive_field == (field, field)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*DEEP, "seresnet50", "cbam_resnet50"])
def test_with_the_stride_where_the_papers_had_it_the_costs_are_theirs(name):
    spec = variants[name].spec
    summary = summarise(on_paper(name, stride_in="1x1"))
    assert summary.parameters == spec.parameters
    assert summary.macs == pytest.approx(spec.published_macs, rel=0.016) and "1×1" in spec.deviations


@pytest.mark.slow
def test_cbam_costs_what_its_paper_says_to_the_last_digit():
    summary = summarise(on_paper("cbam_resnet50", stride_in="1x1"))
    assert (round(summary.parameters / 1e6, 2), round(summary.macs / 1e9, 3)) == (28.09, 3.864)
    assert round(summarise(on_paper("resnet50", stride_in="1x1")).macs / 1e9, 3) == 3.858


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "widths", "groups"),
    [("resnet50", 64, 1), ("resnext50_32x4d", 128, 32), ("wide_resnet50_2", 128, 1)],
)
def test_relatives_differ_in_the_3x3(name, widths, groups):
    for i, stage in enumerate(list(on_paper(name).stages.values())[1:]):
        convolutions = [m for m in stage.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
        assert {(c.in_channels, c.out_channels, c.groups) for c in convolutions} == {
            (*[widths * 2**i] * 2, groups)
        }


@pytest.mark.slow
@pytest.mark.parametrize(("attention", "kind"), [("se", SqueezeExcite), ("cbam", ChannelAndSpatialGate)])
@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_a_gate_ends_each_change(name, attention, kind):
    net = on_paper(name, attention=attention)
    blocks = [m for m in net.modules() if isinstance(m, Block)]
    assert all(isinstance(block.change[-1], kind) for block in blocks)
    squeezed = [m.fc1.out_channels for m in net.modules() if hasattr(m, "fc1")]
    widths = [m.fc1.in_channels for m in net.modules() if hasattr(m, "fc1")]
    assert len(squeezed) == len(blocks) and squeezed == [width // 16 for width in widths]


@pytest.mark.slow
def test_maps_at_full_size_and_in_the_small_form():
    sizes = {}
    for side in (224, 64, 32, 28):
        with torch.device("meta"):
            net = create("resnet50", input_shape=(3, side, side))
            maps = net.eval().features(torch.zeros(1, 3, side, side))
        sizes[side] = [(m.shape[1], m.shape[2]) for m in maps.values()]
    assert sizes[224] == [(64, 56), (256, 56), (512, 28), (1024, 14), (2048, 7)]
    assert sizes[64] == [(64, 64), (256, 64), (512, 32), (1024, 16), (2048, 8)]
    assert [side for _, side in sizes[32]] == [32, 32, 16, 8, 4]
    assert [side for _, side in sizes[28]] == [28, 28, 14, 7, 4]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet50", {"block": "botleneck"}, "did you mean 'bottleneck'"),
        ("resnet50", {"attention": "sse"}, "did you mean 'se'"),
        ("resnet50", {"stride_in": "3×3"}, "did you mean '3x3'"),
        ("resnext50_32x4d", {"block": "basic"}, "groups=32, group_width=4 .* for basic blocks give groups=1"),
        ("resnet18", {"groups": 2}, "resnet18"),
        ("resnet50", {"groups": 0}, "resnet50's option groups is 0; give a whole number above 0"),
        ("resnet50", {"group_width": -1}, "resnet50's option group_width is -1"),
        ("resnet50", {"blocks": (3, 0)}, "above 0"),
    ],
)
def test_options_that_make_no_network_are_refused(name, options, message):
    with pytest.raises(UserError, match=message):
        on_paper(name, **options)


def test_other_depths_can_be_built():
    net = create("resnet18", input_shape=(1, 28, 28), classes=3, options={"blocks": [1, 1]})
    assert list(net.stages) == ["stem", "stage1", "stage2"]
    assert net(torch.randn(2, 1, 28, 28)).shape == (2, 3)
