from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.models.pytorch.families.mobile.shufflenet_v2 import HalvingUnit, Unit, in_turns
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 4), st.booleans())
def test_maps_come_in_turns_and_gradients_find_their_way_back(images, half, side, channels_last):
    form = torch.channels_last if channels_last else torch.contiguous_format
    left, right = (
        torch.randn(images, half, side, side, dtype=torch.float64)
        .contiguous(memory_format=form)
        .requires_grad_()
        for _ in range(2)
    )
    got = in_turns(left, right)
    assert torch.equal(got[:, 0::2], left) and torch.equal(got[:, 1::2], right)
    weights = torch.randn_like(got)
    (got * weights).sum().backward()
    assert torch.equal(left.grad, weights[:, 0::2]) and torch.equal(right.grad, weights[:, 1::2])


def test_channels_stay_last():
    halves = [torch.randn(2, 8, 4, 4).contiguous(memory_format=torch.channels_last) for _ in range(2)]
    with torch.no_grad():
        assert in_turns(*halves).is_contiguous(memory_format=torch.channels_last)


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 6).map(lambda n: 2 * n), st.integers(1, 8))
def test_half_of_the_maps_pass_untouched(maps, side):
    unit = Unit(maps).eval()
    x = torch.randn(2, maps, side, side)
    got = unit(x)
    assert torch.equal(got[:, 0::2], x[:, : maps // 2])
    assert torch.equal(got[:, 1::2], unit.branch2(x[:, maps // 2 :]))


@pytest.mark.parametrize("half", [2, 4, 58])
def test_half_of_what_passed_by_is_worked_on_next(half):
    passed, worked = torch.zeros(1, half, 1, 1), torch.ones(1, half, 1, 1)
    _, next_half = in_turns(passed, worked).chunk(2, dim=1)
    assert next_half.sum() == half // 2


def test_the_middle_of_a_branch_is_linear():
    kinds = [type(layer).__name__ for layer in HalvingUnit(4, 8).branch2]
    assert kinds == [
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "Conv2d",
        "BatchNorm2d",
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
    ]


def test_a_halving_unit_works_on_all_maps_twice():
    unit = HalvingUnit(6, 10).eval()
    x = torch.randn(2, 6, 7, 8)
    got = unit(x)
    assert got.shape == (2, 10, 4, 4)
    assert torch.equal(got[:, 0::2], unit.branch1(x)) and torch.equal(got[:, 1::2], unit.branch2(x))


@pytest.mark.slow
@pytest.mark.parametrize(("side", "sides"), [(224, (56, 28, 14, 7, 7)), (32, (32, 16, 8, 4, 4))])
def test_maps_halve_where_the_docstring_says(side, sides):
    with torch.device("meta"):
        net = create("shufflenet_v2_x1_0", input_shape=(3, side, side))
        maps = net.eval().features(torch.zeros(1, 3, side, side))
    assert list(maps) == ["stem", "stage2", "stage3", "stage4", "last"]
    assert [tuple(m.shape[1:]) for m in maps.values()] == [
        (c, s, s) for c, s in zip((24, 116, 232, 464, 1024), sides, strict=True)
    ]


def test_other_widths_can_be_given():
    net = create("shufflenet_v2_x0_5", input_shape=(3, 32, 32), options={"channels": [8, 16, 32], "last": 64})
    assert [row.output[0] for row in summarise(net).rows if row.kind == "Conv2d"][-1] == 64


@pytest.mark.parametrize("channels", [[48, 96], [48, 96, 192, 384], [48, 97, 192]])
def test_widths_that_cannot_be_halved_or_are_not_three_are_refused(channels):
    with pytest.raises(
        UserError, match=r"channels are \[48.*; give 3 even numbers, such as \[116, 232, 464\]"
    ):
        create("shufflenet_v2_x1_0", options={"channels": channels})
