from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.models.pytorch.families.mobile.mobilenet_v1 import separable
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create


def designed(**options):
    with torch.device("meta"):
        return create("mobilenet_v1", options=options)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_separable_convolution_filters_first_and_mixes_then(stride):
    torch.manual_seed(0)
    block = separable(5, 7, stride=stride).eval().double()
    for layer in block:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -1, 1)
            nn.init.uniform_(layer.running_var, 0.1, 0.5)
    x = 9 * torch.randn(2, 5, 9, 8, dtype=torch.float64)
    looked = [
        F.conv2d(x[:, i : i + 1], block[0].weight[i : i + 1], stride=stride, padding=1) for i in range(5)
    ]
    seen = block[1](torch.cat(looked, 1)).clamp(0, 6)
    mixed = torch.einsum("nchw,kc->nkhw", seen, block[3].weight[:, :, 0, 0])
    expected = block[4](mixed).clamp(0, 6)
    assert torch.allclose(block(x), expected, rtol=1e-12, atol=1e-12)
    assert (expected == 6).any(), "the ceiling has to be tried"


def test_it_takes_the_fraction_of_work_that_the_paper_derives():
    """Section 3.1: 1/N + 1/9 of an ordinary 3×3 convolution to N maps."""
    rows = summarise(separable(32, 64, stride=1), (32, 14, 14))
    assert rows.macs == (1 / 64 + 1 / 9) * 9 * 32 * 64 * 14 * 14


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "millions", "macs"), [(1.0, 4.2, 569), (0.75, 2.6, 325), (0.5, 1.3, 149), (0.25, 0.5, 41)]
)
def test_thinner_networks_are_as_published(width, millions, macs):
    """Table 6."""
    summary = summarise(designed(width=width))
    assert (round(summary.parameters / 1e6, 1), round(summary.macs / 1e6)) == (millions, macs)


@pytest.mark.parametrize("width", [0.0, -0.5])
def test_a_width_of_nothing_is_refused(width):
    with pytest.raises(UserError, match=f"width is {width}; give how wide"):
        designed(width=width)


@pytest.mark.slow
@pytest.mark.parametrize(("side", "sides"), [(224, (112, 112, 56, 28, 14, 7)), (32, (32, 32, 32, 16, 8, 4))])
def test_maps_halve_where_the_docstring_says(side, sides):
    with torch.device("meta"):
        net = create("mobilenet_v1", input_shape=(3, side, side))
        maps = net.eval().features(torch.zeros(1, 3, side, side)).values()
    assert [tuple(m.shape[1:]) for m in maps] == [
        (channels, s, s) for channels, s in zip((32, 64, 128, 256, 512, 1024), sides, strict=True)
    ]


def test_weights_of_the_designed_form_fit_the_small_one():
    small = create("mobilenet_v1", input_shape=(3, 32, 32), classes=1000, options={"width": 0.25})
    small.load_state_dict(create("mobilenet_v1", options={"width": 0.25}).state_dict())
