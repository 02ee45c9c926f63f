"""The history of a run: one JSON object a line, one line an epoch, on the disk before the next one begins."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from convscope.core.atomic import storage_error, write_bytes
from convscope.core.errors import Failure, UserError


def read_history(path: Path | str) -> list[dict[str, Any]]:
    """The rows of a history file, oldest first; none when there is no file.

    A last line that was cut off by a kill or a full disk is left out. Failure for a broken line before it.
    """
    file = Path(path)
    try:
        # What follows the last newline is a row that was cut, or nothing.
        *lines, rest = file.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"the history {file} cannot be read: {error.strerror or error}") from None
    rows = [_row(file, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    # A row that lacks no more than its newline is whole.
    last = _parsed(rest)
    return [*rows, last] if last is not None else rows


class History:
    """The history file of a run that goes on.

    Opening it drops a cut last line, so that the next row starts on a line of its own.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     history = History(Path(folder) / "history.jsonl")
    ...     history.append({"epoch": 0, "train_loss": 0.5})
    ...     history.append({"epoch": 1, "train_loss": float("nan")})
    ...     history.rows()
    [{'epoch': 0, 'train_loss': 0.5}, {'epoch': 1, 'train_loss': None}]
    """

    def __init__(self, path: Path | str) -> None:
        """`path`: the file; its folder exists."""
        self.path = Path(path)
        # A row that was cut by a kill would swallow the next one.
        if self.path.exists() and not self._ends_whole():
            self._replace(read_history(self.path))

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one row and force it to the disk; numbers that JSON lacks (NaN, infinity) become null.

        Raises UserError for a folder that may not be written and Failure for a full disk.
        """
        try:
            with self.path.open("ab") as file:
                file.write(_line(row))
                file.flush()
                # An epoch may take an hour; its row is on the disk before the next begins.
                os.fsync(file.fileno())
        except OSError as error:
            raise storage_error(self.path, error) from error

    def rows(self) -> list[dict[str, Any]]:
        """All rows, oldest first."""
        return read_history(self.path)

    def truncate(self, epoch: int) -> None:
        """Keep the rows with `row["epoch"] < epoch`: a run that resumes there writes the others again."""
        rows = self.rows()
        # A run that resumes inside an epoch writes the row of that epoch again.
        kept = [row for row in rows if row.get("epoch", -1) < epoch]
        if len(kept) < len(rows):
            self._replace(kept)

    def _ends_whole(self) -> bool:
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            # The last byte alone: a history of a thousand epochs is not read for it.
            file.seek(max(size - 1, 0))
            return file.read(1) in {b"", b"\n"}

    def _replace(self, rows: list[dict[str, Any]]) -> None:
        write_bytes(self.path, b"".join(_line(row) for row in rows))


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(_finite(row), ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    # A diverged loss is NaN, which JSON lacks.
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        row = json.loads(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


def _row(file: Path, number: int, line: bytes) -> dict[str, Any]:
    row = _parsed(line)
    if row is None:
        raise Failure(
            f"{file}, line {number} is not a JSON object; delete that line, or start with --out elsewhere"
        )
    return row
