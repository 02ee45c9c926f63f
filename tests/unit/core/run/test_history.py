from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.errors import Failure, UserError
from convscope.core.run.history import History, read_history

ROWS = [{"epoch": e, "train_loss": 1.0 / (e + 1), "best": True} for e in range(4)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "history.jsonl"
    history = History(path)
    for row in ROWS:
        history.append(row)
    return path


def test_rows_come_back_as_they_went_in(file):
    assert read_history(file) == ROWS
    assert len(file.read_text().splitlines()) == 4


def test_no_file_means_no_rows(tmp_path):
    assert History(tmp_path / "history.jsonl").rows() == []


def test_every_row_is_forced_to_the_disk(tmp_path, monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    History(tmp_path / "history.jsonl").append({"epoch": 0})
    assert len(synced) == 1


@given(cut=st.integers(1, 200))
def test_wherever_a_kill_cuts_the_file_whole_rows_remain_and_the_next_one_follows(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("run") / "history.jsonl"
    whole = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
    path.write_bytes(whole[:cut])
    survivors = read_history(path)
    assert survivors == ROWS[: len(survivors)]
    assert len(survivors) >= whole[:cut].count(b"\n")
    History(path).append({"epoch": 99})
    assert read_history(path) == [*survivors, {"epoch": 99}]


def test_truncate_keeps_the_rows_before_an_epoch(file):
    history = History(file)
    history.truncate(2)
    assert history.rows() == ROWS[:2]
    history.truncate(7)
    assert history.rows() == ROWS[:2]
    history.truncate(0)
    assert history.rows() == []


def test_truncate_goes_by_the_epoch_and_not_by_the_line(tmp_path):
    history = History(tmp_path / "history.jsonl")
    for epoch in (1, 2, 3):
        history.append({"epoch": epoch})
    history.truncate(3)
    assert history.rows() == [{"epoch": 1}, {"epoch": 2}]


def test_numbers_that_json_does_not_know_become_null(tmp_path):
    history = History(tmp_path / "history.jsonl")
    history.append({"a": float("nan"), "norms": {"conv": float("inf")}, "list": [1, float("-inf")]})
    assert history.rows() == [{"a": None, "norms": {"conv": None}, "list": [1, None]}]


def test_a_broken_line_in_the_middle_is_named(file):
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], "not json", lines[2]]) + "\n")
    with pytest.raises(Failure, match="line 2 is not a JSON object"):
        read_history(file)


def test_bytes_that_are_no_text_are_a_broken_line(file):
    file.write_bytes(b"\xff\xfe\n" + file.read_bytes())
    with pytest.raises(Failure, match="line 1"):
        read_history(file)


def test_a_folder_in_the_files_path_is_one_line(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_history(tmp_path)


def test_a_full_disk_is_one_line():
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("/dev/full is a Linux device")
    history = History.__new__(History)
    history.path = full
    with pytest.raises(Failure, match="disk is full"):
        history.append({"epoch": 0})


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(Failure, match="could not write"):
        History(tmp_path / "gone" / "history.jsonl").append({"epoch": 0})
