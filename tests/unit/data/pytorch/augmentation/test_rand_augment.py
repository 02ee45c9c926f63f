from __future__ import annotations

import pytest
import torch

from convscope.core.errors import UserError
from convscope.data.pytorch.augmentation import rand_augment as module
from convscope.data.pytorch.augmentation.op_dispatch import CHOICES, EITHER_WAY
from convscope.data.pytorch.augmentation.rand_augment import rand_augment, signs, trivial_augment

X = torch.zeros(14_000, 1, 1, 1, dtype=torch.uint8)


@pytest.fixture
def drawn(monkeypatch):
    """What was handed to `transform`: (places in CHOICES, magnitudes), one entry a call."""
    calls: list[tuple[torch.Tensor, torch.Tensor]] = []

    def keep(x, which, magnitude):
        calls.append((which, magnitude))
        return x

    monkeypatch.setattr(module, "transform", keep)
    return calls


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("augment", [rand_augment, trivial_augment])
def test_the_fourteen_operations_are_as_likely_each(augment, drawn):
    augment(X, rng())
    counts = drawn[0][0].bincount(minlength=len(CHOICES))
    assert counts[CHOICES.index("invert")] == 0
    assert (counts[:14] - 1000).abs().max() < 155, "five standard deviations"


def test_rand_augment_makes_num_ops_steps_at_one_magnitude(drawn):
    rand_augment(X, rng(), num_ops=3, magnitude=15)
    assert len(drawn) == 3
    assert not torch.equal(drawn[0][0], drawn[1][0])
    which, amount = drawn[0]
    assert set(amount[which == CHOICES.index("rotate")].tolist()) == {-15.0, 15.0}
    assert set(amount[which == CHOICES.index("posterize")].tolist()) == {6.0}


def test_trivial_augment_draws_all_31_levels(drawn):
    trivial_augment(X, rng())
    which, amount = drawn[0]
    turns = amount[which == CHOICES.index("rotate")].abs()
    assert len(turns.unique()) == 31
    assert float(turns.max()) == 135.0


def test_no_operation_is_no_change(drawn):
    assert rand_augment(X, rng(), num_ops=0) is X
    assert not drawn


def test_magnitude_0_leaves_what_goes_either_way():
    x = torch.randint(0, 256, (300, 3, 12, 12), dtype=torch.uint8, generator=rng())
    out = rand_augment(x, rng(), num_ops=1, magnitude=0)
    changed = (out != x).flatten(1).any(1).float().mean()
    # At level 0 only solarize (from 255), autocontrast and equalize may change an image.
    assert float(changed) <= (14 - len(EITHER_WAY) - 2) / 14 + 0.1


def test_signs_are_fair():
    assert abs(float(signs(X, rng()).mean())) < 0.043, "five standard deviations"


@pytest.mark.parametrize("magnitude", [-1, 31])
def test_a_magnitude_off_the_scale_is_refused(magnitude):
    with pytest.raises(UserError, match="between 0 and 30"):
        rand_augment(X, rng(), magnitude=magnitude)
