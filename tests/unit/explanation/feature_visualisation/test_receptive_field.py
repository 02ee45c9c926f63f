import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.receptive_field import (
    StageField,
    field_lines,
    shortest,
    stage_fields,
)
from convscope.explanation.feature_visualisation.receptive_field_plot import fields_figure, growth_figure
from convscope.explanation.pytorch.probe import TorchProbe
from convscope.models.pytorch.zoo import create
from convscope.models.receptive_field import Field
from distinct import DISTINCT

# A gate multiplies with a number that depends on the whole image, which the field in theory leaves out.
GATED = {
    "seresnet50",
    "cbam_resnet50",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "efficientnet_v2_s",
}
# A second and more each, of the same layers as one that is here.
SLOW = {"resnet50", "resnext50_32x4d", "vgg11", "vgg11_bn", "inception_v3", "convnext_tiny", "densenet121"}
SIDE = 40


def fields_of(name, side=SIDE, channels=3):
    torch.manual_seed(0)
    net = create(name, input_shape=(channels, side, side), classes=3)
    return net, fields(net, channels, side)


def fields(network, channels=1, side=9, layers=None, *, count=2, progress=None):
    """Of any module, measured on random images."""
    model = ExplainedModel(
        Silent(), Preprocess(channels, side, side, std=(0.3,) * channels), TorchProbe(network)
    )
    images = np.random.default_rng(1).integers(0, 256, (count, side, side, channels), np.uint8)
    return stage_fields(model, images, layers, progress=progress)


class Silent:
    """A Predictor that nobody asks."""

    classes = ("a", "b", "c")

    def predict(self, images):
        raise AssertionError("the probe is asked, and not the predictor")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in DISTINCT if name not in GATED | SLOW])
def test_nothing_outside_the_field_in_theory_counts(name):
    net, found = fields_of(name)
    assert [each.stage for each in found] == list(net.stages)
    for each in found:
        assert each.theory is not None and not each.beyond
        assert all(
            1 <= side <= min(limit, SIDE) for side, limit in zip(each.measured, each.theory.size, strict=True)
        )
        assert each.gradient.sum() == pytest.approx(1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5", "small_cnn", "resnet20", "squeezenet1_0", "mobilenet_v2"])
def test_all_of_a_field_that_the_image_holds_does_count(name):
    """The theory is no mere bound: with random weights some gradient reaches its very edge."""
    for each in fields_of(name)[1]:
        if max(each.theory.size) < SIDE // 2:
            ranges = [each.interval(axis, 1.0) for axis in (0, 1)]
            assert [end - start for start, end in ranges] == list(each.theory.size)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0"])
def test_a_gate_sees_beyond_and_the_lines_say_so(name):
    _, found = fields_of(name)
    beyond = [each.stage for each in found if each.beyond]
    assert (
        beyond and f"beyond the field in theory: {', '.join(beyond)}" in field_lines(found, (SIDE, SIDE))[-1]
    )


def test_a_kernel_of_which_little_counts_is_measured_small():
    conv = nn.Conv2d(1, 1, 9, padding=4, bias=False)
    with torch.no_grad():
        conv.weight.fill_(1e-4)
        conv.weight[0, 0, 3:6, 4] = 1.0
    (found,) = fields(nn.Sequential(conv), side=21)
    assert found.theory.size == (9, 9) and found.measured == (3, 1)
    assert found.interval(0) == (9, 12) and found.interval(1) == (10, 11)  # the middle of 21 is 10


def test_global_layers_see_the_whole_image():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1))
    found = fields(net)
    assert found[1].theory is None and not found[1].beyond and found[1].interval(0, 1.0) == (0, 9)
    assert "the whole image" in field_lines(found, (9, 9))[2]


def test_maps_that_cancel_each_other_do_not_hide_the_gradient():
    class Balanced(nn.Module):
        """The maps sum to 0 at every position, as they do where a layer standardises over its maps."""

        def forward(self, x):
            return torch.cat([x, -x], 1)

    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 6, 3), Balanced())
    assert fields(net, count=1)[1].measured == (3, 3)


def test_nothing_reaches_a_dead_layer():
    conv = nn.Conv2d(1, 1, 3)
    nn.init.zeros_(conv.weight)
    (found,) = fields(nn.Sequential(conv), count=1)
    assert found.measured == (0, 0) and np.isfinite(found.gradient).all() and not found.beyond
    fields_figure(np.zeros((9, 9, 1), np.uint8), [found]).draw_without_rendering()


def test_the_same_twice_named_layers_and_progress():
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True), nn.Conv2d(3, 3, 3))
    told = []
    first = fields(net, layers=["2"], progress=lambda *each: told.append(each))
    assert np.array_equal(first[0].gradient, fields(net)[2].gradient)
    assert told == [("measure receptive fields", 1, 1)] and all(p.grad is None for p in net.parameters())
    with pytest.raises(UserError, match="gives feature maps"):
        fields(nn.Sequential(nn.Flatten(), nn.Linear(81, 2)))


@given(st.lists(st.floats(0, 9), min_size=1, max_size=12), st.floats(0.05, 1.0))
def test_no_shorter_range_holds_as_much(weights, fraction):
    weights = np.array(weights)
    start, end = shortest(weights, fraction)
    total = weights.sum()
    if not total > 0:
        assert (start, end) == (0, 0)
        return
    assert 0 <= start < end <= len(weights) and weights[start:end].sum() >= (fraction - 1e-6) * total
    shorter = [weights[i : i + end - start - 1].sum() for i in range(len(weights))]
    assert max(shorter) <= (fraction + 1e-6) * total


def test_the_table_lines_up():
    every = [
        StageField("stem", (8, 8), Field((3, 3), (2, 2)), np.eye(16) / 16),
        StageField("a_long_name", (4, 2), None, np.eye(16) / 16),
    ]
    lines = field_lines(every, (16, 16))
    assert lines[0].split("  ")[0] == "stage" and "16" in lines[1] and "4×2" in lines[2]
    assert len({line.index(word) for line, word in zip(lines[:3], ("map", "8 ", "4×2"), strict=True)}) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("count", "channels"), [(1, 1), (5, 3), (7, 1), (16, 3)])
def test_every_number_of_stages_is_drawn(count, channels):
    gradient = np.random.default_rng(0).random((10, 14))
    every = [
        StageField(
            f"$stage{n}",
            (5, 7),
            Field((n + 1, n + 1), (2, 2)) if n % 2 == 0 else None,
            gradient / gradient.sum(),
        )
        for n in range(count)
    ]
    over = fields_figure(np.full((10, 14, channels), 90, np.uint8), every)
    over.draw_without_rendering()
    frames = [len(axes.patches) for axes in over.axes if axes.axison]
    assert frames == [2 if each.theory else 1 for each in every]
    growth = growth_figure(every, (10, 14))
    growth.draw_without_rendering()
    above, below = growth.axes
    assert above.lines[0].get_ydata().tolist()[:2] == [1, 1] and len(above.lines[0].get_ydata()) == count + 1
    assert below.lines[0].get_ydata().tolist() == [14, *[7] * count]


def test_the_frame_of_the_theory_holds_the_measured_one():
    torch.manual_seed(0)
    net = create("small_cnn", input_shape=(1, 28, 28), classes=3)
    found = fields(net, side=28, count=8)
    figure = fields_figure(np.zeros((28, 28, 1), np.uint8), found)
    for axes in figure.axes:
        outer, inner = (patch.get_bbox() for patch in axes.patches)
        assert outer.x0 <= inner.x0 and outer.y0 <= inner.y0 and outer.x1 >= inner.x1 and outer.y1 >= inner.y1
