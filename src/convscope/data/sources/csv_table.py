"""A CSV file of images: path, label and, if there is a third column, split. Paths are relative to the file.

A header is optional; with one the columns may stand in any order. Separators are comma, semicolon or tab.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from convscope.core.errors import UserError
from convscope.data.class_labels import natural_key
from convscope.data.dataset import FileDataset, hash_of_stats
from convscope.data.sources.image_walk import shortened
from convscope.data.sources.origin import SPLITS, Source, split_of

_COLUMNS = {
    # file_name is Hugging Face's: https://huggingface.co/docs/datasets/image_dataset
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img"),
    "label": ("label", "class", "class_name", "classname", "target", "category"),
    "split": ("split", "set", "subset", "partition"),
}
_WITHOUT_HEADER = {"path": 0, "label": 1, "split": 2}


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    split: str


def csv_source(table: Path) -> Source:
    """The source over a CSV file; rows without a file, or that contradict others, are left out with a note.

    If that leaves none it is a UserError, and so, with its line, are a row without path or label, an unknown
    split and a file that is not UTF-8.
    """
    every = list(_rows(table))
    rows = _consistent(every)
    if not rows:
        trouble = "only rows that contradict each other" if every else "no rows"
        raise UserError(f"{table} has {trouble}; expected path,label[,split], one image a line")
    # Classes come from all rows below: a class whose files are missing keeps its place.
    present, missing = _present(table, rows)
    classes = tuple(sorted({row.label for row in rows}, key=natural_key))
    if len(classes) < 2:
        raise UserError(f"{table} holds one class, {classes[0]!r}; two or more are needed to tell apart")
    splits = {row.split for row in present}
    if "train" not in splits:
        raise UserError(
            f"{table} has no row of the train split; write train in its split column, or leave it empty"
        )
    return Source(
        name=table.stem,
        location=table,
        splits={split: partial(_open, table, present, classes, split) for split in SPLITS if split in splits},
        compute_fingerprint=partial(_fingerprint, table, present),
        notes=tuple(_notes(table, every, rows, missing)),
        kind="CSV",
    )


def _open(table: Path, rows: list[_Row], classes: tuple[str, ...], split: str) -> FileDataset:
    # tuple.index would compare 500 names a row where there are 1,000 classes.
    order = {name: index for index, name in enumerate(classes)}
    own = [row for row in rows if row.split == split]
    labels = np.array([order[row.label] for row in own], np.int64)
    return FileDataset(tuple(row.path for row in own), labels, classes, table.parent)


def _fingerprint(table: Path, rows: list[_Row]) -> str:
    # The table counts too: another label in it makes other data of the same files.
    paths = [row.path for row in rows]
    return hash_of_stats([table, *(table.parent / path for path in paths)], [table.name, *paths])


def _present(table: Path, rows: list[_Row]) -> tuple[list[_Row], list[str]]:
    """The rows whose file is there, and path and line of the others."""
    present, missing = [], []
    for row in rows:
        if (table.parent / row.path).is_file():
            present.append(row)
        else:
            missing.append(f"{row.path} (line {row.line})")
    if not present:
        raise UserError(
            f"{table}: none of its {len(rows)} files is there, {missing[0]} first; paths are relative to "
            f"{table.parent} and the columns path,label[,split]"
        )
    return present, missing


def _rows(table: Path) -> Iterator[_Row]:
    text = _text(table)
    first = next((line for line in text.splitlines() if line.strip()), "")
    # Whichever the first line has most of; a spreadsheet in Europe writes semicolons.
    separator = max(",;\t", key=first.count)
    # Strict: a quote that is never closed would swallow the rest of the table.
    # keepends: a quoted cell may hold a newline.
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=True)
    columns: dict[str, int] = {}
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            if not columns:
                columns = _header(row)
                if columns:
                    continue
                columns = _WITHOUT_HEADER
            yield _row(table, reader.line_num, row, columns)
    except csv.Error as error:
        raise UserError(f"{table}, line {reader.line_num}: {error}; expected path,label[,split]") from None


def _text(table: Path) -> str:
    try:
        return table.read_bytes().decode("utf-8-sig")  # spreadsheets put a byte order mark first
    except UnicodeDecodeError as error:
        raise UserError(
            f"{table} is not UTF-8 (byte {error.start}); save it as CSV UTF-8 and try again"
        ) from None
    except OSError as error:
        raise UserError(f"{table} cannot be read: {error.strerror or error}") from None


def _header(row: list[str]) -> dict[str, int]:
    """The index of each known column; none where the row is not a header."""
    folded = [cell.lower() for cell in row]
    columns = {}
    for column, names in _COLUMNS.items():
        index = next((folded.index(name) for name in names if name in folded), None)
        if index is not None:
            columns[column] = index
    # One name alone may be data: a class can be called target.
    return columns if {"path", "label"} <= set(columns) else {}


def _row(table: Path, line: int, row: list[str], columns: dict[str, int]) -> _Row:
    path, label, split = (row[p] if 0 <= (p := columns.get(c, -1)) < len(row) else "" for c in _COLUMNS)
    if not path or not label:
        raise UserError(
            f"{table}, line {line}: {','.join(row)!r} has no path and label; expected path,label[,split]"
        )
    known = split_of(split) if split else "train"
    if known is None:
        raise UserError(
            f"{table}, line {line}: {split!r} is no split; allowed: train, validation (val, dev), test"
        )
    # Tables from Windows name folders with backslashes.
    return _Row(line, path.replace("\\", "/"), label, known)


def _consistent(rows: list[_Row]) -> list[_Row]:
    """One row for each path; a path that stands in rows with different labels or splits is left out."""
    # The same line twice is harmless, another label for the same file is not.
    variants: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        variants.setdefault(row.path, set()).add((row.label, row.split))
    first = {row.path: row for row in reversed(rows)}
    return [row for row in rows if first[row.path] is row and len(variants[row.path]) == 1]


def _notes(table: Path, every: list[_Row], rows: list[_Row], missing: list[str]) -> Iterator[str]:
    if missing:
        yield f"{len(missing)} of {len(rows)} rows name missing files and were left out: {shortened(missing)}"
    outside = [row.path for row in rows if _leads_outside(Path(row.path))]
    if outside:
        yield f"{len(outside)} paths lead outside {table.parent}: {shortened(outside)}"
    contrary = {row.path for row in every} - {row.path for row in rows}
    if contrary:
        shown = shortened(sorted(contrary))
        yield f"{len(contrary)} files stand in rows of different label or split and were left out: {shown}"
    twice = sum(row.path not in contrary for row in every) - len(rows)
    if twice:
        yield f"{twice} rows repeat an earlier row and were left out"


def _leads_outside(path: Path) -> bool:
    return path.is_absolute() or ".." in path.parts
