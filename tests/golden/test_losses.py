"""The first six steps of each way of training: one step an epoch, so that the history has the loss of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from golden.golden_files import check

REL = 1e-3
WAYS = {"head": "H", "finetune": "F"}


def losses(folder: Path) -> str:
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 6
    return "\n".join(f"{row['train_loss']:.7f} {row['validation_loss']:.7f} {row['lr']:.7f}" for row in rows)


@pytest.mark.parametrize("way", WAYS)
def test_six_steps_on_photographs(road: Path, way: str) -> None:
    check(f"losses/{way}.txt", losses(road / WAYS[way]), rel=REL)


def test_six_steps_of_the_default_recipe(default_run: Path) -> None:
    check("losses/default.txt", losses(default_run / "M"), rel=REL)
