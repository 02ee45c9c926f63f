from __future__ import annotations

import inspect

import pytest
import torch

from convscope.core.errors import UserError
from convscope.data.pytorch.augmentation.policies import fitting_crop, operations, policies, policy


def ramp(n: int, h: int = 32, w: int = 32) -> torch.Tensor:
    """Images that grow brighter from left to right, so that a mirror image shows."""
    row = torch.linspace(60, 200, w).to(torch.uint8)
    return row.expand(n, 1, h, w).contiguous(memory_format=torch.channels_last)


def mirrored(x: torch.Tensor) -> int:
    """How many images are darker on the right."""
    w = x.shape[3]
    left, right = x[..., : w // 4].float().mean((1, 2, 3)), x[..., -w // 4 :].float().mean((1, 2, 3))
    return int((left > right).sum())


def test_none_gives_the_images_themselves():
    x = ramp(2)
    assert policy("none")(x, torch.Generator()) is x


@pytest.mark.parametrize("name", ["basic", "strong", "flip", "basic+cutout"])
def test_flip_can_be_turned_off(name):
    x = ramp(200)
    assert 60 < mirrored(policy(name)(x, torch.Generator().manual_seed(0))) < 140
    # A resized or a covered picture may have one side darker; a mirror image always has.
    assert mirrored(policy(name, flip=False)(x, torch.Generator().manual_seed(0))) <= 10


def test_a_vertical_flip_is_a_flip_too():
    x = ramp(8).transpose(2, 3)
    assert torch.equal(policy("vertical_flip", flip=False)(x, torch.Generator()), x)


def test_names_joined_by_plus_run_one_after_the_other():
    x = ramp(8)
    rng = torch.Generator().manual_seed(1)
    step = policy("cutout")(policy("basic")(x, rng), rng)
    assert torch.equal(policy("basic+cutout")(x, torch.Generator().manual_seed(1)), step)


@pytest.mark.parametrize(
    ("given", "hint"), [("basik", "'basic'"), ("basic+cutot", "'cutout'"), ("RAND_AUGMENT", "rand_")]
)
def test_an_unknown_name_names_the_nearest(given, hint):
    with pytest.raises(UserError, match="there is no augmentation policy") as caught:
        policy(given)
    assert hint in str(caught.value)


@pytest.mark.parametrize("given", ["", "+", "basic+"])
def test_an_empty_name_is_refused(given):
    with pytest.raises(UserError, match="there is no augmentation policy"):
        policy(given)


@pytest.mark.parametrize("name", policies)
def test_policies_name_operations_and_their_parameters(name):
    for operation, parameters in policies[name]:
        assert set(parameters) <= set(inspect.signature(operations[operation]).parameters)


@pytest.mark.parametrize("name", operations)
def test_parameters_of_operations_are_keyword_only_and_have_defaults(name):
    first, second, *rest = inspect.signature(operations[name]).parameters.values()
    assert (first.name, second.name) == ("x", "rng")
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in rest)


def test_small_images_are_shifted_and_large_ones_cut():
    small, large = (
        torch.full((16, 1, 95, 95), 255, dtype=torch.uint8),
        torch.full((16, 1, 96, 96), 255, dtype=torch.uint8),
    )
    assert (fitting_crop(small, torch.Generator().manual_seed(0)) == 0).any(), (
        "a shift brings in the black border"
    )
    assert (fitting_crop(large, torch.Generator().manual_seed(0)) == 255).all(), (
        "a resized crop shows nothing new"
    )
