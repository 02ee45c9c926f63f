from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convscope.models.pytorch.receptive_field import FieldTracer
from convscope.models.receptive_field import Field, meet


def traced(net, shape=(1, 64, 64)):
    image = torch.zeros(1, *shape)
    with torch.no_grad(), FieldTracer(image) as tracer:
        output = net(image)
    return tracer.field(output)


def measured(net, side):
    """Field and stride by gradients: which pixels move the place in the middle, and where its right neighbour
    begins.

    All weights are positive, so nothing cancels; average pools stand for max pools, which pass one path only.
    """
    for parameter in net.parameters():
        nn.init.uniform_(parameter, 0.5, 1.0)
    starts, lengths = [], []
    for step in (0, 1):
        image = torch.ones(1, 1, side, side, requires_grad=True)
        output = net(image)
        row, column = output.shape[2] // 2 - 1 + step, output.shape[3] // 2 - 1 + step
        output[0, :, row, column].sum().backward()
        seen = image.grad[0, 0].abs() > 0
        rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
        starts.append((int(rows[0]), int(columns[0])))
        lengths.append((int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1))
    stride = (starts[1][0] - starts[0][0], starts[1][1] - starts[0][1])
    return Field(lengths[0], stride)


class Residual(nn.Module):
    """Two branches of different reach that are added."""

    def __init__(self):
        super().__init__()
        self.long = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 5, padding=2))
        self.short = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        return F.relu(self.long(x) + self.short(x) + x)


LAYERS = {
    "conv3": lambda: nn.Conv2d(1, 1, 3, padding=1),
    "conv5": lambda: nn.Conv2d(1, 1, 5),
    "conv1x5": lambda: nn.Conv2d(1, 1, (1, 5), padding=(0, 2)),
    "strided": lambda: nn.Conv2d(1, 1, 3, stride=2, padding=1),
    "tall_stride": lambda: nn.Conv2d(1, 1, 3, stride=(2, 1), padding=1),
    "dilated": lambda: nn.Conv2d(1, 1, 3, dilation=2, padding=2),
    "pool": lambda: nn.AvgPool2d(2),
    "overlapping_pool": lambda: nn.AvgPool2d(3, stride=2, padding=1),
    "norm": lambda: nn.BatchNorm2d(1).eval(),
    "relu": nn.ReLU,
    "residual": Residual,
}


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=4))
def test_theory_equals_the_gradient(layers):
    net = nn.Sequential(*(LAYERS[layer]() for layer in layers))
    assert traced(net, (1, 200, 200)) == measured(net, 200)


def test_max_pools_count_like_average_pools():
    for kernel, stride, padding in ((2, 2, 0), (3, 2, 1), (3, 1, 1), (2, None, 0)):
        a = traced(nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(kernel, stride, padding)))
        b = traced(nn.Sequential(nn.Conv2d(1, 1, 3), nn.AvgPool2d(kernel, stride, padding)))
        assert a == b
    assert traced(nn.MaxPool2d(3, 1, dilation=2)) == Field((5, 5), (1, 1))


def test_functions_and_in_place_operations_are_followed():
    def net(image):
        x = F.relu_(F.conv2d(image, torch.ones(2, 1, 3, 3)))
        x = F.max_pool2d(x, 2)
        return torch.cat([x, x.mul_(2)], 1)

    assert traced(net) == Field((4, 4), (2, 2))


@pytest.mark.parametrize(
    "net",
    [
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 3),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(1, 2, 1)),
        nn.LayerNorm((1, 64, 64)),
        nn.GroupNorm(1, 1),
    ],
)
def test_what_sees_the_whole_image_has_no_field(net):
    assert traced(net) is None


def test_a_norm_over_the_maps_of_a_position_sees_that_position():
    def net(x):
        return F.layer_norm(F.avg_pool2d(x, 3, 2).permute(0, 2, 3, 1), (1,)).permute(0, 3, 1, 2)

    assert traced(net) == Field((3, 3), (2, 2))


def test_where_branches_meet_the_larger_counts():
    assert meet([Field((3, 9), (1, 2)), Field((5, 5), (2, 1))]) == Field((5, 9), (2, 2))
    assert meet([Field((3, 3)), None]) is None


def test_a_gate_is_left_out():
    """Squeeze-and-excitation multiplies a map by numbers that depend on the whole image; the field is the
    maps'.
    """

    def gated(x):
        x = F.max_pool2d(x, 3, 2)
        return x * torch.sigmoid(x.mean((2, 3), keepdim=True))

    assert traced(gated) == Field((3, 3), (2, 2))


@pytest.mark.parametrize("over", [torch.mean, torch.sum, torch.amax])
def test_a_mean_over_the_maps_keeps_the_position(over):
    """Also where it is a gate of places, whose own convolution then widens the field."""
    assert traced(lambda x: over(F.max_pool2d(x, 3, 2), 1, keepdim=True)) == Field((3, 3), (2, 2))
    assert traced(lambda x: over(F.max_pool2d(x, 3, 2), -3, keepdim=True)) == Field((3, 3), (2, 2))
    assert traced(lambda x: over(x, (1, 2), keepdim=True)) is None
    assert traced(lambda x: x * over(F.avg_pool2d(x, 7, 1, 3), 1, keepdim=True)) == Field((7, 7), (1, 1))


def test_maps_that_are_one_position_large_are_no_gate():
    assert traced(lambda x: x.mean((2, 3), keepdim=True) * 2) is None
    assert traced(lambda x: F.max_pool2d(x, 8) * F.max_pool2d(x, 8)) == Field((8, 8), (8, 8))


def test_tensors_that_do_not_come_from_the_image_are_unknown():
    image = torch.zeros(1, 1, 4, 4)
    with FieldTracer(image) as tracer:
        other = torch.ones(1, 1, 4, 4) * 2
    assert tracer.field(image) == Field()
    assert tracer.field(other) is None
