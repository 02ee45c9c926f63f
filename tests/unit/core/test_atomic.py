from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from convscope.core.atomic import make_folder, storage_error, write_bytes, write_json, write_text
from convscope.core.errors import Failure, UserError


@pytest.mark.parametrize(
    ("number", "kind", "text"),
    [
        (errno.ENOSPC, Failure, "the disk is full"),
        (errno.EDQUOT, Failure, "the disk is full"),
        (errno.EACCES, UserError, "read-only folder"),
        (errno.EROFS, UserError, "read-only folder"),
        (errno.EPERM, UserError, "read-only folder"),
        (errno.EIO, Failure, "could not write"),
    ],
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_whatever_fails_the_old_file_stays_and_nothing_else(tmp_path, monkeypatch, number, kind, text, call):
    file = tmp_path / "file"
    write_text(file, "old")

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "fsync", fail) if call == "fsync" else (Path, "replace", fail)))
    with pytest.raises(kind, match=text):
        write_text(file, "new")
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]


def test_a_kill_between_write_and_rename_leaves_the_old_file(tmp_path, monkeypatch):
    class Killed(BaseException): ...

    def kill(_fd):
        raise Killed

    write_text(tmp_path / "file", "old")
    monkeypatch.setattr(os, "fsync", kill)
    with pytest.raises(Killed):
        write_text(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "old"


def test_bytes_text_and_json(tmp_path):
    write_bytes(tmp_path / "a", b"\0\xff")
    write_text(tmp_path / "b", "é ×")
    write_json(tmp_path / "c", {"é": [1, None]})
    assert (tmp_path / "a").read_bytes() == b"\0\xff"
    assert (tmp_path / "b").read_bytes() == "é ×".encode()
    assert (
        json.loads((tmp_path / "c").read_text()) == {"é": [1, None]} and "é" in (tmp_path / "c").read_text()
    )
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "c", float("nan"))
    assert json.loads((tmp_path / "c").read_text()) == {"é": [1, None]}


def test_a_missing_folder_is_one_line(tmp_path):
    with pytest.raises(Failure, match="could not write"):
        write_text(tmp_path / "gone" / "file", "x")


def test_folders(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir() and make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises((UserError, Failure)) as caught:
            make_folder(path)
        assert "\n" not in str(caught.value)


def test_the_message_names_the_file():
    assert "runs/a" in str(storage_error(Path("runs/a"), OSError(errno.EIO, "I/O error")))


def test_a_file_name_that_is_no_utf8_is_written_and_read_back(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    write_json(tmp_path / "names.json", [name, "é"])
    assert json.loads((tmp_path / "names.json").read_text("utf-8")) == [name, "é"]
