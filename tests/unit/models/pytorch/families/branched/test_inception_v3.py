from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.models.pytorch.families.branched.inception_v3 import (
    auxiliary_head,
    both_ways,
    halve_17,
    halve_35,
    layer,
    module_17,
)
from convscope.models.pytorch.network import forward_with_aux
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants


def on_meta(side):
    with torch.device("meta"):
        return create("inception_v3", input_shape=(3, side, side)).eval()


@pytest.mark.slow
def test_maps_at_299_are_those_of_table_1():
    maps = on_meta(299).features(torch.zeros(1, 3, 299, 299, device="meta"))
    assert {name: tuple(m.shape[1:]) for name, m in maps.items()} == {
        "stem": (64, 73, 73),
        "stage4": (192, 35, 35),
        "stage5": (288, 35, 35),
        "stage6": (768, 17, 17),
        "stage7": (2048, 8, 8),
    }


def test_a_flat_window_keeps_the_size_and_takes_two_sevenths_of_the_weights():
    x = torch.zeros(2, 4, 9, 11)
    pair = nn.Sequential(layer(4, 4, (1, 7)), layer(4, 4, (7, 1)))
    assert pair(x).shape == x.shape
    count = sum(m.weight.numel() for m in pair.modules() if isinstance(m, nn.Conv2d))
    assert count / (7 * 7 * 4 * 4) == 2 / 7


def test_taken_apart_a_window_reaches_as_far():
    """With weights above 0 a spark in the middle lights up 13×13 places behind two 7×7 taken apart, 7×7
    behind one.
    """
    module = module_17(3, 2).eval()
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.1)
    for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.zeros_(norm.bias)
    x = torch.zeros(1, 3, 21, 21)
    x[..., 10, 10] = 1.0
    with torch.no_grad():
        for branch, side in (("branch1x1", 1), ("branch7x7", 7), ("branch7x7dbl", 13), ("branch_pool", 3)):
            lit = module[branch](x)[0, 0] > 0
            assert (int(lit.any(1).sum()), int(lit.any(0).sum()), int(lit.sum())) == (
                side,
                side,
                side * side,
            ), branch


def test_both_ways_is_a_row_beside_a_column():
    module = both_ways()
    assert [m.kernel_size for m in module.modules() if isinstance(m, nn.Conv2d)] == [(1, 3), (3, 1)]
    assert module(torch.zeros(2, 384, 5, 6)).shape == (2, 768, 5, 6)


@pytest.mark.parametrize(("make", "inputs", "outputs"), [(halve_35, 8, 488), (halve_17, 8, 520)])
@pytest.mark.parametrize("side", [3, 7, 10])
def test_halving_passes_the_maxima_on(make, inputs, outputs, side):
    x = torch.randn(2, inputs, side, side)
    y = make(inputs)(x)
    assert y.shape == (2, outputs, (side - 1) // 2, (side - 1) // 2)
    assert torch.equal(y[:, -inputs:], nn.functional.max_pool2d(x, 3, 2))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "sides"), [(28, [24, 22, 22, 10, 4]), (32, [28, 26, 26, 12, 5]), (64, [60, 58, 58, 28, 13])]
)
def test_the_small_form_steps_by_4(side, sides):
    net = on_meta(side)
    maps = net.features(torch.zeros(1, 3, side, side, device="meta"))
    assert [m.shape[2] for m in maps.values()] == sides
    assert next(row.stride for row in reversed(summarise(net).rows) if row.stride) == (4, 4)


@pytest.mark.slow
def test_the_auxiliary_head_is_used_in_training_alone():
    net = create("inception_v3", input_shape=(1, 28, 28), classes=4)
    x = torch.randn(2, 1, 28, 28)
    logits, auxiliary = forward_with_aux(net.train(), x)
    assert logits.shape == (2, 4) and [a.shape for a in auxiliary] == [(2, 4)]
    assert forward_with_aux(net.eval(), x)[1] == [] and list(net.features(x)) == list(net.stages)


@pytest.mark.slow
def test_the_auxiliary_head_is_not_counted():
    net = on_meta(299)
    idle = sum(p.numel() for p in net.auxiliary.parameters())
    assert sum(p.numel() for p in net.parameters()) == variants["inception_v3"].spec.parameters + idle
    assert idle == 768 * 128 + 2 * 128 + 25 * 128 * 768 + 2 * 768 + 768 * 1000 + 1000


@pytest.mark.parametrize(
    ("side", "kind"), [(8, nn.AdaptiveAvgPool2d), (10, nn.AdaptiveAvgPool2d), (17, nn.AvgPool2d)]
)
def test_an_auxiliary_head_makes_do_with_smaller_maps(side, kind):
    head = auxiliary_head(3)(6, side, side).eval()
    assert isinstance(head[0], kind) and head(torch.randn(2, 6, side, side)).shape == (2, 3)
