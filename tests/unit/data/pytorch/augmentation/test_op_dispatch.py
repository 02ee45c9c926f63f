from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.data.pytorch.augmentation.op_dispatch import (
    OPERATIONS,
    SIGNED_OPS,
    magnitudes,
    mild_ranges,
    transform,
    wide_ranges,
)
from convscope.data.pytorch.augmentation.photometric import invert


def images(n: int, c: int = 3, h: int = 16, w: int = 16) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(1, 255, (n, h, w, c), dtype=torch.uint8, generator=rng).permute(0, 3, 1, 2)


@pytest.mark.slow
@given(
    which=st.lists(st.integers(0, len(OPERATIONS) - 1), min_size=1, max_size=20), c=st.sampled_from([1, 3])
)
@settings(max_examples=60, deadline=None)
def test_a_batch_is_its_images_one_by_one(which, c):
    x, chosen = images(len(which), c), torch.tensor(which)
    level = torch.linspace(0, 1, len(which))
    amount = magnitudes(chosen, level, torch.ones(len(which)), ranges=mild_ranges(16, 16))
    out = transform(x, chosen, amount)
    for i in range(len(which)):
        alone = transform(x[i : i + 1], chosen[i : i + 1], amount[i : i + 1])
        # Sums over a larger batch may be taken in another order, and a truncated value fall one level down.
        assert (out[i : i + 1].int() - alone.int()).abs().max() <= 1


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_choice_does_something_and_only_identity_does_nothing(name):
    x = images(1) // 2 + 40
    which = torch.tensor([OPERATIONS.index(name)])
    amount = magnitudes(which, torch.tensor([0.9]), torch.ones(1), ranges=mild_ranges(16, 16))
    assert torch.equal(transform(x, which, amount), x) == (name == "identity")


@pytest.mark.parametrize("name", sorted(SIGNED_OPS))
def test_level_0_of_what_goes_either_way_changes_nothing(name):
    x = images(2)
    which = torch.full((2,), OPERATIONS.index(name))
    amount = magnitudes(which, torch.zeros(2), torch.tensor([1.0, -1.0]), ranges=wide_ranges(16, 16))
    assert torch.equal(transform(x, which, amount), x)


@pytest.mark.parametrize("name", sorted(SIGNED_OPS))
def test_the_sign_matters(name):
    x = images(1).expand(2, 3, 16, 16)
    which = torch.full((2,), OPERATIONS.index(name))
    out = transform(
        x, which, magnitudes(which, torch.ones(2), torch.tensor([1.0, -1.0]), ranges=mild_ranges(16, 16))
    )
    assert not torch.equal(out[0], out[1])


def test_magnitudes_at_the_ends():
    which = torch.arange(len(OPERATIONS))
    one = torch.ones(len(OPERATIONS))
    low = dict(
        zip(OPERATIONS, magnitudes(which, 0 * one, -one, ranges=mild_ranges(331, 662)).tolist(), strict=True)
    )
    high = dict(
        zip(OPERATIONS, magnitudes(which, one, -one, ranges=mild_ranges(331, 662)).tolist(), strict=True)
    )
    assert {name: abs(value) for name, value in low.items() if value} == {"posterize": 8.0, "solarize": 255.0}
    assert high["translate_x"] == pytest.approx(-300)
    assert high["translate_y"] == pytest.approx(-150)
    assert (high["posterize"], high["solarize"], high["rotate"]) == (4.0, 0.0, -30.0)
    assert (high["equalize"], high["invert"], high["identity"]) == (0.0, 0.0, 0.0)


def test_the_wide_space_never_moves_a_small_image_out_of_sight():
    assert wide_ranges(28, 20)["translate_x"] == (0.0, 10.0)
    assert wide_ranges(28, 20)["translate_y"] == (0.0, 14.0)
    assert wide_ranges(500, 500)["translate_y"] == (0.0, 32.0)


def test_one_choice_for_all_is_that_operation():
    x = images(5)
    assert torch.equal(transform(x, torch.full((5,), OPERATIONS.index("invert")), torch.zeros(5)), invert(x))
