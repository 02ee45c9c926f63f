"""What holds for every network on the list, at its own size, at others, in colour and in grey."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from convscope.core.errors import ShapeError
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create, networks
from convscope.models.spec import ModelSpec

every = pytest.mark.parametrize("name", list(networks))
# The deepest ones differ from resnet20 in nothing but the number of blocks.
distinct = pytest.mark.parametrize("name", [n for n in networks if n not in ("resnet44", "resnet56", "resnet110")])


@every
def test_parameters_are_as_the_spec_says(name):
    net = create(name)
    assert sum(p.numel() for p in net.parameters()) == net.spec.parameters


@every
def test_the_spec_speaks(name):
    spec = networks[name].spec
    assert spec.name == name and spec.title and spec.idea
    assert ModelSpec.from_dict(spec.to_dict()) == spec


@distinct
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 21, 40)])
@pytest.mark.parametrize("classes", [2, 7])
def test_any_input_that_fits(name, shape, classes):
    net = create(name, input_shape=shape, classes=classes).eval()
    x = torch.randn(2, *shape)
    with torch.no_grad():
        logits, maps = net(x), net.features(x)
        last = list(maps.values())[-1]
        assert logits.shape == (2, classes) and torch.isfinite(logits).all()
        assert list(maps) == list(net.stages)
        assert all(m.ndim == 4 and len(m) == 2 for m in maps.values())
        assert torch.equal(net.head(last), logits)


@distinct
def test_every_parameter_learns(name):
    net = create(name, options={"dropout": 0.0} if "dropout" in networks[name].spec.options else {})
    # With whole channels of zeros a layer's share of the gradient could vanish by chance in one image, not in eight.
    logits = net(torch.randn(8, *net.spec.input_shape))
    nn.functional.cross_entropy(logits, torch.arange(8) % 10).backward()
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@distinct
def test_memory_format_changes_no_answer(name):
    net = create(name).eval().double()
    x = torch.randn(3, *net.spec.input_shape, dtype=torch.float64)
    with torch.no_grad():
        rows = net(x)
        last = copy.deepcopy(net).to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(rows, last, rtol=1e-10, atol=1e-12)


@distinct
def test_images_of_a_batch_do_not_meet_at_evaluation(name):
    net = create(name).eval().double()
    x = torch.randn(4, *net.spec.input_shape, dtype=torch.float64)
    with torch.no_grad():
        assert torch.allclose(net(x)[2:3], net(x[2:3]), rtol=1e-10, atol=1e-12)


@distinct
def test_bfloat16_autocast_gives_finite_logits_near_the_others(name):
    net = create(name).eval()
    x = torch.randn(4, *net.spec.input_shape)
    with torch.no_grad():
        exact = net(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = net(x).float()
    # bfloat16 keeps 8 bits: 2^-8 a layer, added up over at most 32 of them.
    assert (exact - rough).abs().max() <= 0.1 * exact.abs().max()


@distinct
def test_wrong_channels_name_the_first_layer(name):
    net = create(name, input_shape=(3, 32, 32))
    with pytest.raises(ShapeError, match=r"got 1×32×32: layer \w+\.0 \(Conv2d\) got 1×32×32 and needs 3 channels"):
        net(torch.zeros(2, 1, 32, 32))


@distinct
def test_weights_move_between_two_of_a_kind(name):
    one, two = create(name).eval(), create(name).eval()
    two.load_state_dict(one.state_dict())
    x = torch.randn(2, *one.spec.input_shape)
    with torch.no_grad():
        assert torch.equal(one(x), two(x))


@every
def test_the_summary_adds_up(name):
    net = create(name)
    summary = summarise(net)
    assert summary.parameters == net.spec.parameters == sum(row.parameters for row in summary.rows)
    assert summary.macs == sum(row.macs for row in summary.rows) > 0
    assert summary.rows[-1].output == (10,)


@pytest.mark.parametrize("name", [n for n in networks if "pooling" in networks[n].spec.options])
def test_pooling_is_an_option_that_changes_no_shape(name):
    one, two = (create(name, options={"pooling": kind}) for kind in ("max", "average"))
    assert [p.shape for p in one.parameters()] == [p.shape for p in two.parameters()]
    x = torch.randn(2, *one.spec.input_shape)
    two.load_state_dict(one.state_dict())
    assert not torch.allclose(one.eval()(x), two.eval()(x))


@pytest.mark.parametrize("name", [n for n in networks if "kernel" in networks[n].spec.options])
@pytest.mark.parametrize("kernel", [1, 7])
def test_the_kernel_is_an_option_that_keeps_the_maps(name, kernel):
    sizes = []
    for options in ({}, {"kernel": kernel}):
        net = create(name, options=options)
        sizes.append([tuple(m.shape) for m in net.features(torch.zeros(2, *net.spec.input_shape)).values()])
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("name", [n for n in networks if "depth" in networks[n].spec.options and "resnet" not in n])
def test_depth_adds_convolutions_to_each_stage(name):
    def convolutions(depth):
        net = create(name, options={"depth": depth})
        return sum(isinstance(m, nn.Conv2d) for m in net.modules())

    stages = len(networks[name].spec.options["widths"])
    assert convolutions(3) - convolutions(1) == 2 * stages
