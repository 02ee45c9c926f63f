from __future__ import annotations

from pathlib import Path

import pytest

from convscope.core.errors import UserError
from convscope.training.pytorch import tensorboard
from convscope.training.pytorch.tensorboard import TensorBoard


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {
        tag: [(e.step, round(e.value, 4)) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]
    }


def test_numbers_become_curves_and_nothing_else_does(tmp_path):
    pytest.importorskip("tensorboard")
    board = TensorBoard(tmp_path)
    board.write({"epoch": 1, "train_loss": 0.5, "best": True, "note": "text", "missing": None})
    board.write({"epoch": 2, "train_loss": 0.25, "best": False})
    board.close()
    assert curves(tmp_path) == {"train_loss": [(1, 0.5), (2, 0.25)]}


def test_a_resumed_run_writes_its_epochs_again(tmp_path):
    pytest.importorskip("tensorboard")
    first = TensorBoard(tmp_path)
    for epoch in (1, 2, 3):
        first.write({"epoch": epoch, "train_loss": 1.0})
    first.close()
    second = TensorBoard(tmp_path, epoch=2)
    second.write({"epoch": 2, "train_loss": 0.5})
    second.close()
    assert curves(tmp_path)["train_loss"] == [(1, 1.0), (2, 0.5)]


def test_without_the_package_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda _name: None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        TensorBoard(tmp_path)
