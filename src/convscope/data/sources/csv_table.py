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
from convscope.data.dataset import FileDataset, hash_of_stats
from convscope.data.sources.class_labels import natural_key
from convscope.data.sources.image_walk import shortened
from convscope.data.sources.origin import SPLITS, Source, split_of

_COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img"),
    "label": ("label", "class", "class_name", "classname", "target", "category"),
    "split": ("split", "set", "subset", "partition"),
}


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    split: str


def csv_source(table: Path) -> Source:
    """The source over a CSV file. Rows whose file is missing, or that contradict each other, are left out
    with a note.

    If that leaves none it is a UserError, and so, with its line, are a row without path or label, an unknown
    split and a file that is not UTF-8.
    """
    every = list(_rows(table))
    rows = _consistent(every)
    if not rows:
        trouble = "only rows that contradict each other" if every else "no rows"
        raise UserError(f"{table} has {trouble}; expected path,label[,split], one image a line")
    present = [row for row in rows if (table.parent / row.path).is_file()]
    missing = [f"{row.path} (line {row.line})" for row in rows if not (table.parent / row.path).is_file()]
    if not present:
        raise UserError(
            f"{table}: none of its {len(rows)} files is there, {missing[0]} first; paths are relative to "
            f"{table.parent}"
            " and the columns path,label[,split]"
        )
    classes = tuple(sorted({row.label for row in rows}, key=natural_key))
    if len(classes) < 2:
        raise UserError(f"{table} holds one class, {classes[0]!r}; two or more are needed to tell apart")
    by_split = {split: [row for row in present if row.split == split] for split in SPLITS}
    if not by_split["train"]:
        raise UserError(
            f"{table} has no row of the train split; write train in its split column, or leave it empty"
        )
    order = {name: index for index, name in enumerate(classes)}

    def open_split(split: str) -> FileDataset:
        found = by_split[split]
        labels = np.array([order[row.label] for row in found], np.int64)
        return FileDataset(tuple(row.path for row in found), labels, classes, table.parent)

    return Source(
        name=table.stem,
        location=table,
        splits={split: partial(open_split, split) for split in SPLITS if by_split[split]},
        marker=lambda: hash_of_stats(
            [table, *(table.parent / row.path for row in present)],
            [table.name, *(row.path for row in present)],
        ),
        notes=tuple(_notes(table, every, rows, missing)),
        kind="CSV",
    )


def _rows(table: Path) -> Iterator[_Row]:
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{table} is not UTF-8 (byte {error.start}); save it as CSV UTF-8 and try again"
        ) from None
    except OSError as error:
        raise UserError(f"{table} cannot be read: {error.strerror or error}") from None
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator, strict=True)
    places: dict[str, int] | None = None
    try:
        for cells in reader:
            row = [cell.strip() for cell in cells]
            if not any(row):
                continue
            header = places is None and _header(row)
            places = places or header or {"path": 0, "label": 1, "split": 2}
            if not header:
                yield _row(table, reader.line_num, row, places)
    except csv.Error as error:
        raise UserError(f"{table}, line {reader.line_num}: {error}; expected path,label[,split]") from None


def _header(row: list[str]) -> dict[str, int]:
    folded = [cell.lower() for cell in row]
    found = {
        column: next((folded.index(name) for name in names if name in folded), -1)
        for column, names in _COLUMNS.items()
    }
    known = {column: place for column, place in found.items() if place >= 0}
    return known if {"path", "label"} <= set(known) else {}


def _row(table: Path, line: int, row: list[str], places: dict[str, int]) -> _Row:
    path, label, split = (row[p] if 0 <= (p := places.get(c, -1)) < len(row) else "" for c in _COLUMNS)
    if not path or not label:
        raise UserError(
            f"{table}, line {line}: {','.join(row)!r} has no path and label; expected path,label[,split]"
        )
    known = split_of(split) if split else "train"
    if known is None:
        raise UserError(
            f"{table}, line {line}: {split!r} is no split; allowed: train, validation (val, dev), test"
        )
    return _Row(line, path.replace("\\", "/"), label, known)


def _consistent(rows: list[_Row]) -> list[_Row]:
    """One row for each path; a path that stands in rows with different labels or splits is left out."""
    said: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        said.setdefault(row.path, set()).add((row.label, row.split))
    first = {row.path: row for row in reversed(rows)}
    return [row for row in rows if first[row.path] is row and len(said[row.path]) == 1]


def _notes(table: Path, every: list[_Row], rows: list[_Row], missing: list[str]) -> Iterator[str]:
    if missing:
        yield f"{len(missing)} of {len(rows)} rows name missing files and were left out: {shortened(missing)}"
    outside = [row.path for row in rows if Path(row.path).is_absolute() or ".." in Path(row.path).parts]
    if outside:
        yield f"{len(outside)} paths lead outside {table.parent}: {shortened(outside)}"
    contrary = {row.path for row in every} - {row.path for row in rows}
    if contrary:
        shown = shortened(sorted(contrary))
        yield f"{len(contrary)} files stand in rows of different label or split and were left out: {shown}"
    twice = sum(row.path not in contrary for row in every) - len(rows)
    if twice:
        yield f"{twice} rows repeat an earlier row and were left out"
