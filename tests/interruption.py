"""Runs that die at a chosen checkpoint, and what must be the same however often a run was killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from convscope.core.bundle import Bundle
from convscope.core.run.history import read_history
from convscope.training.pytorch import loop

TIMES = ("seconds", "images_per_second")


class Killed(BaseException):
    """Stands in for a power cut: nothing catches it."""


def outcome(folder: Path) -> tuple[Any, ...]:
    """Everything that must not depend on whether a run was interrupted."""
    bundle = Bundle.load(folder)
    weights = {name: value.tobytes() for name, value in bundle.weights.items()}
    rows = [
        {k: v for k, v in row.items() if k not in TIMES} for row in read_history(folder / "history.jsonl")
    ]
    metrics = {k: v for k, v in json.loads((folder / "metrics.json").read_text()).items() if k != "seconds"}
    return weights, rows, metrics, bundle.decision


def kill_at(patch: pytest.MonkeyPatch, call: int, *, before: bool, of: str | None = None) -> None:
    """Die at the `call`-th checkpoint, before or after it is written; `of` counts those of folders with this
    name.
    """
    calls = 0
    real = loop.save_checkpoint

    def save(folder, state):
        nonlocal calls
        calls += of in (None, folder.name)
        if calls == call and before:
            raise Killed
        real(folder, state)
        if calls == call:
            raise Killed

    patch.setattr(loop, "save_checkpoint", save)
