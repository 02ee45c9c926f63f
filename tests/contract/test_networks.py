"""What holds for every network on the list, at its own size, at others, in colour and in grey."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convscope.core.errors import ShapeError
from convscope.models.pytorch.network import forward_with_aux
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.models.spec import ModelSpec
from convscope.models.variants.registry import variants
from distinct import DISTINCT
from rounding import same_but_for_rounding

# In float64 and of the largest logit: other kernels add in another order, and forty blocks
# whose norms have seen no batch blow that up; an image that meets another moves the logits by more than 1e-3.
ROUNDING = 1e-9

every = pytest.mark.parametrize("name", list(variants))
distinct = pytest.mark.parametrize("name", DISTINCT)


def shape_of(name, channels=None):
    """The designed input, or 32×32 pixels for a network that was designed for photographs."""
    spec = variants[name].spec
    side = 32 if spec.small_form else spec.input_shape[1]
    return (channels or spec.input_shape[0], side, side)


def small(name, **changes):
    """The network for ten classes, in the form that is quick to compute."""
    return create(name, **({"input_shape": shape_of(name), "classes": 10} | changes))


@every
def test_counts_are_as_the_spec_says(name):
    with torch.device("meta"):
        net = create(name)
    summary = summarise(net)
    assert summary.parameters == net.spec.parameters == sum(row.parameters for row in summary.rows)
    assert (summary.macs, summary.receptive_field and summary.receptive_field[0]) == (
        net.spec.macs,
        net.spec.receptive_field,
    )
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        net.eval()(torch.zeros(1, *net.spec.input_shape))
    assert counter.get_total_flops() == 2 * summary.macs


@every
def test_published_figures_are_those_here_or_a_deviation_says_why(name):
    spec = variants[name].spec
    for ours, theirs in ((spec.parameters, spec.published_parameters), (spec.macs, spec.published_macs)):
        if theirs is not None:
            assert spec.published_in
            assert ours == pytest.approx(theirs, rel=0.03) or spec.deviations


@every
def test_the_paper_of_a_famous_network_is_named(name):
    spec = variants[name].spec
    assert (spec.year is None) == (spec.paper == "")
    assert not spec.small_form or (spec.paper and min(spec.input_shape[1:]) >= 224)


@pytest.mark.parametrize("side", [28, 64])
@pytest.mark.parametrize("name", [n for n in DISTINCT if variants[n].spec.small_form])
def test_the_small_form_keeps_maps_of_four_by_four(name, side):
    with torch.device("meta"):
        net = create(name, input_shape=(1, side, side), classes=7)
        maps = net.eval().features(torch.zeros(1, 1, side, side))
    assert net.spec.small
    *_, last = maps.values()
    assert min(last.shape[2:]) >= 4


@every
def test_the_spec_speaks(name):
    spec = variants[name].spec
    assert spec.name == name and spec.title and spec.idea
    assert ModelSpec.from_dict(spec.to_dict()) == spec


@distinct
@pytest.mark.parametrize(("shape", "classes"), [((1, 28, 28), 2), ((3, 29, 40), 7)])
def test_any_input_that_fits(name, shape, classes):
    net = create(name, input_shape=shape, classes=classes).eval()
    x = torch.randn(2, *shape)
    with torch.no_grad():
        logits, maps = net(x), net.features(x)
        last = list(maps.values())[-1]
        assert logits.shape == (2, classes) and torch.isfinite(logits).all()
        assert list(maps) == list(net.stages)
        assert all(m.ndim == 4 and len(m) == 2 for m in maps.values())
        assert same_but_for_rounding(net.head(last), logits)


@distinct
def test_every_parameter_learns(name):
    net = small(name)
    for layer in net.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    # With whole channels of zeros a layer's part of the gradient could vanish by chance in one image, not in
    # eight.
    logits, auxiliary = forward_with_aux(net, torch.randn(8, *net.spec.input_shape))
    for answer in (logits, *auxiliary):
        nn.functional.cross_entropy(answer, torch.arange(8) % 10).backward(retain_graph=True)
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@distinct
def test_neither_memory_format_nor_the_other_images_of_a_batch_change_the_logits(name):
    net = small(name).eval().double()
    x = torch.randn(3, *net.spec.input_shape, dtype=torch.float64)
    with torch.no_grad():
        rows, alone = net(x), net(x[2:])
        last = net.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    assert (rows - last).abs().max() <= ROUNDING * rows.abs().max()
    assert (rows[2:] - alone).abs().max() <= ROUNDING * alone.abs().max()


@distinct
def test_bfloat16_autocast_gives_finite_logits_near_the_others(name):
    torch.manual_seed(0)
    net = small(name)
    with torch.no_grad():
        # Norms that have seen a batch keep the numbers of forty blocks from growing without end.
        net.train()(torch.randn(4, *net.spec.input_shape))
        net.eval()
        x = torch.randn(2, *net.spec.input_shape)
        exact = net(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rough = net(x).float()
    # bfloat16 keeps 8 bits: 2^-8 a layer, added up over at most 32 of them.
    assert (exact - rough).abs().max() <= 0.1 * exact.abs().max()


@distinct
def test_wrong_channels_name_the_first_layer(name):
    net = create(name, input_shape=(3, 32, 32))
    with pytest.raises(
        ShapeError, match=r"got 1×32×32: layer \w+\.0 \(Conv2d\) got 1×32×32 and needs 3 channels"
    ):
        net(torch.zeros(2, 1, 32, 32))


@distinct
def test_weights_move_between_two_of_a_kind(name):
    one, two = small(name).eval(), small(name).eval()
    two.load_state_dict(one.state_dict())
    x = torch.randn(2, *one.spec.input_shape)
    with torch.no_grad():
        assert torch.equal(one(x), two(x))


@distinct
def test_the_summary_adds_up(name):
    net = small(name)
    summary = summarise(net)
    assert summary.parameters == sum(row.parameters for row in summary.rows)
    assert summary.macs == sum(row.macs for row in summary.rows) > 0
    assert summary.rows[-1].output == (10,)


@pytest.mark.parametrize("name", [n for n in variants if "pooling" in variants[n].spec.options])
def test_pooling_is_an_option_that_changes_no_shape(name):
    one, two = (create(name, options={"pooling": kind}) for kind in ("max", "average"))
    assert [p.shape for p in one.parameters()] == [p.shape for p in two.parameters()]
    x = torch.randn(2, *one.spec.input_shape)
    two.load_state_dict(one.state_dict())
    assert not torch.allclose(one.eval()(x), two.eval()(x))


@pytest.mark.parametrize("name", [n for n in variants if "kernel" in variants[n].spec.options])
@pytest.mark.parametrize("kernel", [1, 7])
def test_the_kernel_is_an_option_that_keeps_the_maps(name, kernel):
    sizes = []
    for options in ({}, {"kernel": kernel}):
        net = create(name, options=options)
        sizes.append([tuple(m.shape) for m in net.features(torch.zeros(2, *net.spec.input_shape)).values()])
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    "name", [n for n in variants if "depth" in variants[n].spec.options and "resnet" not in n]
)
def test_depth_adds_convolutions_to_each_stage(name):
    def convolutions(depth):
        net = create(name, options={"depth": depth})
        return sum(isinstance(m, nn.Conv2d) for m in net.modules())

    stages = len(variants[name].spec.options["widths"])
    assert convolutions(3) - convolutions(1) == 2 * stages
