from __future__ import annotations

import pytest
import torch

from convscope.core.errors import UserError
from convscope.data.pytorch.augmentation import auto_augment as module
from convscope.data.pytorch.augmentation.auto_augment import (
    CIFAR10,
    auto_augment,
    rand_augment,
    signs,
    trivial_augment,
)
from convscope.data.pytorch.augmentation.op_dispatch import OPERATIONS, SIGNED_OPS
from convscope.models.pytorch.torchvision_cpu import import_torchvision

X = torch.zeros(14_000, 1, 1, 1, dtype=torch.uint8)


@pytest.fixture
def dispatched(monkeypatch):
    """What was handed to `transform`: (places in OPERATIONS, magnitudes), one entry a call."""
    calls: list[tuple[torch.Tensor, torch.Tensor]] = []

    def keep(x, which, magnitude):
        calls.append((which, magnitude))
        return x

    monkeypatch.setattr(module, "transform", keep)
    return calls


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("augment", [rand_augment, trivial_augment])
def test_the_fourteen_operations_are_as_likely_each(augment, dispatched):
    augment(X, rng())
    counts = dispatched[0][0].bincount(minlength=len(OPERATIONS))
    assert counts[OPERATIONS.index("invert")] == 0
    assert (counts[:14] - 1000).abs().max() < 155, "five standard deviations"


def test_rand_augment_makes_num_ops_steps_at_one_magnitude(dispatched):
    rand_augment(X, rng(), num_ops=3, magnitude=15)
    assert len(dispatched) == 3
    assert not torch.equal(dispatched[0][0], dispatched[1][0])
    which, amount = dispatched[0]
    assert set(amount[which == OPERATIONS.index("rotate")].tolist()) == {-15.0, 15.0}
    assert set(amount[which == OPERATIONS.index("posterize")].tolist()) == {6.0}


def test_trivial_augment_takes_all_31_levels(dispatched):
    trivial_augment(X, rng())
    which, amount = dispatched[0]
    turns = amount[which == OPERATIONS.index("rotate")].abs()
    assert len(turns.unique()) == 31
    assert float(turns.max()) == 135.0


def test_no_operation_is_no_change(dispatched):
    assert rand_augment(X, rng(), num_ops=0) is X
    assert not dispatched


def test_magnitude_0_leaves_what_goes_either_way():
    x = torch.randint(0, 256, (300, 3, 12, 12), dtype=torch.uint8, generator=rng())
    out = rand_augment(x, rng(), num_ops=1, magnitude=0)
    changed = (out != x).flatten(1).any(1).float().mean()
    # At level 0 only solarize (from 255), autocontrast and equalize may change an image.
    assert float(changed) <= (14 - len(SIGNED_OPS) - 2) / 14 + 0.1


def test_signs_are_fair():
    assert abs(float(signs(X, rng()).mean())) < 0.043, "five standard deviations"


@pytest.mark.parametrize("magnitude", [-1, 31])
def test_a_magnitude_off_the_scale_is_refused(magnitude):
    with pytest.raises(UserError, match="between 0 and 30"):
        rand_augment(X, rng(), magnitude=magnitude)


def test_the_table_is_the_one_that_torchvision_has():
    import_torchvision()
    from torchvision.transforms import v2

    names = {
        "translate_x": "TranslateX",
        "translate_y": "TranslateY",
        "shear_y": "ShearY",
        "shear_x": "ShearX",
    }
    names |= {"colour": "Color", "autocontrast": "AutoContrast"}
    unscaled = {"autocontrast", "equalize", "invert"}
    ours = [
        tuple((names.get(name, name.capitalize()), p, None if name in unscaled else m) for name, p, m in row)
        for row in CIFAR10
    ]
    assert ours == v2.AutoAugment(v2.AutoAugmentPolicy.CIFAR10)._policies


@pytest.mark.parametrize("row", CIFAR10)
def test_rows_name_operations_with_a_probability_and_a_magnitude(row):
    for name, p, magnitude in row:
        assert name in OPERATIONS
        assert 0 <= p <= 1
        assert 0 <= magnitude <= 9


def test_steps_come_as_often_as_the_table_says(monkeypatch):
    calls = []

    def keep(x, which, magnitude):
        calls.append((which, magnitude))
        return x

    monkeypatch.setattr(module, "transform", keep)
    n = 50_000
    auto_augment(torch.zeros(n, 1, 1, 1, dtype=torch.uint8), torch.Generator().manual_seed(0))
    assert len(calls) == 2
    for step, (which, _) in enumerate(calls):
        counts = which.bincount(minlength=len(OPERATIONS)) / n
        for place, name in enumerate(OPERATIONS[1:], start=1):
            expected = sum(row[step][1] for row in CIFAR10 if row[step][0] == name) / len(CIFAR10)
            assert abs(float(counts[place]) - expected) < 0.01, name


def test_magnitudes_are_ninths_of_the_reach(monkeypatch):
    calls = []
    monkeypatch.setattr(
        module, "transform", lambda x, which, magnitude: calls.append((which, magnitude)) or x
    )
    auto_augment(torch.zeros(5000, 1, 331, 1, dtype=torch.uint8), torch.Generator().manual_seed(0))
    which, amount = calls[0]
    turns = amount[which == OPERATIONS.index("rotate")]
    assert {round(turn, 4) for turn in turns.tolist()} == {round(30 * 2 / 9, 4), -round(30 * 2 / 9, 4)}
    shifts = amount[which == OPERATIONS.index("translate_y")].abs()
    assert {round(shift, 3) for shift in shifts.tolist()} == {50.0, 150.0}
