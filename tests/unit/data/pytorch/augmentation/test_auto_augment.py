from __future__ import annotations

import pytest
import torch

from convscope.data.pytorch.augmentation import auto_augment as module
from convscope.data.pytorch.augmentation.auto_augment import CIFAR10, auto_augment
from convscope.data.pytorch.augmentation.op_dispatch import CHOICES
from convscope.models.pytorch.torchvision_cpu import import_torchvision


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
        assert name in CHOICES
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
        counts = which.bincount(minlength=len(CHOICES)) / n
        for place, name in enumerate(CHOICES[1:], start=1):
            expected = sum(row[step][1] for row in CIFAR10 if row[step][0] == name) / len(CIFAR10)
            assert abs(float(counts[place]) - expected) < 0.01, name


def test_magnitudes_are_ninths_of_the_reach(monkeypatch):
    calls = []
    monkeypatch.setattr(
        module, "transform", lambda x, which, magnitude: calls.append((which, magnitude)) or x
    )
    auto_augment(torch.zeros(5000, 1, 331, 1, dtype=torch.uint8), torch.Generator().manual_seed(0))
    which, amount = calls[0]
    turns = amount[which == CHOICES.index("rotate")]
    assert {round(turn, 4) for turn in turns.tolist()} == {round(30 * 2 / 9, 4), -round(30 * 2 / 9, 4)}
    shifts = amount[which == CHOICES.index("translate_y")].abs()
    assert {round(shift, 3) for shift in shifts.tolist()} == {50.0, 150.0}
