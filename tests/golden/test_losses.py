"""The first six steps of each way of training: one step an epoch, so that the history has all losses.

Between processors the last digits part by a factor of about ten a step at these rates; four steps are
compared closely, and two more roughly.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from golden.golden_files import Tolerance, check

CLOSELY, ROUGHLY = Tolerance(relative=5e-4), Tolerance(relative=1e-2)
WAYS = {"head": "H", "finetune": "F"}


def check_steps(way: str, folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [f"step {row['epoch']}: loss {row['train_loss']:.7f}, rate {row['lr']:.7f}" for row in rows[:6]]
    assert len(steps) == 6
    check(f"losses/{way}_steps_1_to_4.txt", "\n".join(steps[:4]), CLOSELY)
    check(f"losses/{way}_steps_5_and_6.txt", "\n".join(steps[4:]), ROUGHLY)


@pytest.mark.parametrize("way", WAYS)
def test_six_steps_on_photographs(road: Path, way: str) -> None:
    check_steps(way, road / WAYS[way])


def test_six_steps_of_the_default_recipe(default_run: Path) -> None:
    check_steps("default", default_run / "M")
