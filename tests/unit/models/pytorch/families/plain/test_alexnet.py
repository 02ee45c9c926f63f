from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants


def maps_of(side):
    with torch.device("meta"):
        net = create("alexnet", input_shape=(3, side, side)).eval()
        return net, net.features(torch.zeros(1, 3, side, side))


def test_maps_at_224_are_those_of_the_paper():
    """55 → 27 → 13 → 6; the field and step of each stage by hand: 11 + 2·4, and so on."""
    net, maps = maps_of(224)
    assert [tuple(m.shape[1:]) for m in maps.values()] == [(64, 27, 27), (192, 13, 13), (256, 6, 6)]
    rows = {row.name: row for row in summarise(net).rows}
    assert rows["stage1.0"].output == (64, 55, 55) and rows["stage1.0"].receptive_field == (11, 11)
    assert [rows[f"stage{i}.2"].receptive_field for i in (1, 2)] == [(19, 19), (67, 67)]
    assert (rows["stage3.6"].receptive_field, rows["stage3.6"].stride) == ((195, 195), (32, 32))


@pytest.mark.parametrize(("side", "last"), [(28, 4), (32, 5), (64, 13)])
def test_the_small_form_steps_by_4(side, last):
    net, maps = maps_of(side)
    assert maps["stage3"].shape[2:] == (last, last)
    rows = summarise(net).rows
    assert next(row.stride for row in reversed(rows) if row.stride) == (4, 4)


def test_dense_layers_hold_96_percent_of_the_weights():
    net, _ = maps_of(224)
    assert 0.955 < sum(p.numel() for p in net.head.parameters()) / variants["alexnet"].spec.parameters < 0.965


def test_larger_images_are_averaged_down_to_the_positions_of_the_paper():
    net, maps = maps_of(320)
    assert maps["stage3"].shape[2:] == (9, 9)
    assert [m.in_features for m in net.head.modules() if isinstance(m, nn.Linear)] == [256 * 36, 4096, 4096]
    small, _ = maps_of(28)
    assert next(m.in_features for m in small.head.modules() if isinstance(m, nn.Linear)) == 256 * 16


def test_the_head_is_its_formula_and_drops_before_each_hidden_layer():
    net = create("alexnet", input_shape=(1, 28, 28), classes=3).eval()
    kinds = [type(m).__name__ for m in net.head]
    assert kinds == ["AdaptiveAvgPool2d", "Flatten", *["Dropout", "Linear", "ReLU"] * 2, "Linear"]
    one, two, three = (m for m in net.head if isinstance(m, nn.Linear))
    maps = torch.randn(2, 256, 4, 4)
    with torch.no_grad():
        hidden = (maps.flatten(1) @ one.weight.T + one.bias).relu()
        hidden = (hidden @ two.weight.T + two.bias).relu()
        assert torch.allclose(net.head(maps), hidden @ three.weight.T + three.bias, atol=1e-5)
