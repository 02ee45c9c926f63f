"""Parquet as Hugging Face data sets store images: columns of images and labels, shards named by split.

The image is a struct of bytes and path, or plain binary; the label a whole number or a name; class names
stand in the schema's metadata. A `split` column may take the place of shard names; a `name` column then names
images.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np

from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.data.class_labels import class_indices, class_names
from convscope.data.dataset import CellDataset
from convscope.data.sources.origin import SPLITS, Source, hash_of_files, split_of
from convscope.data.sources.parquet_cells import ParquetCells, column_values, open_parquet
from convscope.data.sources.parquet_columns import Columns, find_columns


def find_parquet(folder: Path) -> list[Path]:
    """The Parquet files in a folder and up to two folders below it, hidden ones left out, sorted."""
    found = {path for depth in ("*", "*/*", "*/*/*") for path in folder.glob(f"{depth}.parquet")}
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def parquet_source(location: Path) -> Source:
    """The source over a Parquet file or a folder of shards; a UserError names what is missing or damaged."""
    shards = _shards(location)
    # One file decides: shards of a data set share their schema.
    columns = find_columns(shards.get("train", next(iter(shards.values())))[0])
    files = list(chain.from_iterable(shards.values()))
    names, notes = list(shards), _notes(location, shards, columns)
    if columns.split:
        shards = {"train": files}
        names = _split_values(files, columns)
    if "train" not in names:
        raise UserError(
            f"{location} has {', '.join(names)} and no train split; shards are named train-*.parquet, test-*"
        )
    return Source(
        name=location.resolve().name.removesuffix(".parquet"),
        location=location,
        splits={
            split: partial(_open, location, shards, columns, split) for split in SPLITS if split in names
        },
        compute_fingerprint=partial(hash_of_files, files),
        notes=tuple(notes),
        kind="Parquet",
    )


def _notes(location: Path, shards: dict[str, list[Path]], columns: Columns) -> list[str]:
    if columns.split:
        decides = f"the {columns.split} column decides the split, not the names of the files"
        return [decides] if len(shards) > 1 else []
    if location.is_file() and _split_of_file(location) not in (None, "train"):
        return [
            f"one file is one train split, whatever it is called; give the folder {location.parent} for all"
        ]
    return []


def _shards(location: Path) -> dict[str, list[Path]]:
    if location.is_file():
        return {"train": [location]}
    shards: dict[str, list[Path]] = {}
    unnamed: list[Path] = []
    for path in find_parquet(location):
        split = _split_of_file(path) or split_of(path.parent.name)
        (shards.setdefault(split, []) if split else unnamed).append(path)
    # A shard of no split could be any: guessing train would leak test images into it.
    if unnamed and shards:
        raise UserError(
            f"{location}: {unnamed[0].name} does not say its split; name shards train-*, validation-*, test-*"
        )
    return shards or {"train": unnamed}


def _split_of_file(path: Path) -> str | None:
    # The Hugging Face Hub has train-00000-of-00004.parquet: the split comes first.
    return split_of(re.split(r"[^A-Za-z]", path.stem, maxsplit=1)[0])


def _split_values(paths: Sequence[Path], columns: Columns) -> list[str]:
    values = np.unique(column_values(paths, columns.split)).tolist()
    strange = [value for value in values if split_of(str(value)) is None]
    if strange:
        raise UserError(
            f"{paths[0]}: {strange[0]!r} is no split; allowed: train, validation (val, dev), test"
        )
    return sorted({str(split_of(str(value))) for value in values})


def _open(location: Path, shards: dict[str, list[Path]], columns: Columns, split: str) -> Dataset:
    paths = shards["train" if columns.split else split]
    labels = column_values(paths, columns.label)
    if not len(labels):
        raise UserError(f"{paths[0]} has no rows; fetch it again")
    classes = columns.classes or _class_names(shards, columns)
    rows = np.arange(len(labels))
    if columns.split:
        values = column_values(paths, columns.split).tolist()
        rows = np.flatnonzero([split_of(str(value)) == split for value in values])
    where = f"{paths[0]}, column {columns.label!r}"
    return CellDataset(
        cell=ParquetCells(paths, columns.image),
        rows=rows,
        labels=class_indices(labels[rows], classes, numbered=bool(columns.classes), where=where),
        classes=classes,
        row_name=_row_names(location, paths, columns if len(shards) == 1 else replace(columns, name="")),
        table_fingerprint=partial(hash_of_files, paths),
    )


def _class_names(shards: dict[str, list[Path]], columns: Columns) -> tuple[str, ...]:
    # Those of the training images, so that each split counts the same classes.
    return class_names(column_values(shards["train"], columns.label))


def _row_names(location: Path, paths: Sequence[Path], columns: Columns) -> Callable[[int], str]:
    """The name of a row: that of its cell where no two are equal, else `file.parquet#row`."""
    if columns.name:
        names = column_values(paths, columns.name)
        # Names that occur twice would put two images under one line of the split record.
        if len(np.unique(names)) == len(names):
            return lambda row: str(names[row])
    shown = [path.relative_to(location).as_posix() if path != location else path.name for path in paths]
    ends = np.cumsum([open_parquet(path).metadata.num_rows for path in paths])

    def numbered(row: int) -> str:
        # "right": row ends[k] is the first of file k + 1.
        file = int(np.searchsorted(ends, row, side="right"))
        return f"{shown[file]}#{row - (ends[file - 1] if file else 0)}"

    return numbered
