from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import Residual
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create


def designed(**options):
    with torch.device("meta"):
        return create("mobilenet_v2", options=options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "millions", "macs"), [(1.0, 3.47, 300), (1.4, 6.06, 582), (0.75, 2.61, 209), (0.5, 1.95, 97)]
)
def test_other_widths_are_as_their_authors_count(width, millions, macs):
    """The table beside their trained weights (TensorFlow Models, slim/nets/mobilenet), without batch norm."""
    net = designed(width=width)
    norms = sum(p.numel() for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    summary = summarise(net)
    assert (summary.parameters - norms) / 1e6 == pytest.approx(millions, abs=0.006)
    assert summary.macs / 1e6 == pytest.approx(macs, abs=1)


def test_the_count_takes_in_as_many_norms_as_the_deviation_says():
    net = designed()
    norms = sum(p.numel() for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters())
    assert f"{norms:,} numbers of batch norm" in net.spec.deviations


@pytest.mark.slow
def test_a_thinner_network_keeps_its_last_convolution():
    assert [designed(width=width).body.last[0].out_channels for width in (0.5, 1.0, 1.4)] == [
        1280,
        1280,
        1792,
    ]


def test_ten_of_seventeen_blocks_add():
    blocks = [
        block for name, stage in designed().stages.items() if name.startswith("stage") for block in stage
    ]
    assert (len(blocks), sum(isinstance(block, Residual) for block in blocks)) == (17, 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "sides"), [(224, (112, 112, 56, 28, 14, 14, 7, 7, 7)), (32, (32, 32, 32, 16, 8, 8, 4, 4, 4))]
)
def test_maps_halve_where_the_docstring_says(side, sides):
    with torch.device("meta"):
        net = create("mobilenet_v2", input_shape=(1, side, side))
        maps = net.eval().features(torch.zeros(1, 1, side, side)).values()
    widths = (32, 16, 24, 32, 64, 96, 160, 320, 1280)
    assert [tuple(m.shape[1:]) for m in maps] == [(c, s, s) for c, s in zip(widths, sides, strict=True)]


def test_a_share_that_drops_everything_is_refused():
    with pytest.raises(UserError, match=r"dropout is 1\.0; give a share from 0"):
        designed(dropout=1.0)
