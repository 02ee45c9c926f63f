"""Parquet as Hugging Face data sets store images: a column of images, a column of labels, shards named by
split.

The image is a struct of bytes and path, or plain binary; the label a whole number or a name; class names
stand in the schema's metadata. A `split` column may take the place of shard names; a `name` column then names
images.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.data.dataset import CellDataset
from convscope.data.sources.class_labels import class_indices, class_names
from convscope.data.sources.origin import SPLITS, Source, hash_of_files, split_of
from convscope.data.sources.parquet_cells import ParquetCells, open_parquet

_IMAGE = ("image", "img", "picture", "photo")
_LABEL = ("label", "labels", "fine_label", "class", "target", "category")
_NAME = ("name", "file_name", "filename", "image_id")


@dataclass(frozen=True)
class _Columns:
    """Which columns to read: `image` is a path such as image.bytes, an absent `split` or `name` is empty."""

    image: str
    label: str
    split: str
    name: str
    classes: tuple[str, ...]


def find_parquet(folder: Path) -> list[Path]:
    """The Parquet files in a folder and up to two folders below it, hidden ones left out, sorted."""
    found = {path for depth in ("*", "*/*", "*/*/*") for path in folder.glob(f"{depth}.parquet")}
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts))


def parquet_source(location: Path) -> Source:
    """The source over one Parquet file or a folder of shards; a UserError names a missing column or damaged
    file.
    """
    shards = _shards(location)
    columns = _columns(shards.get("train", next(iter(shards.values())))[0])
    files = [path for paths in shards.values() for path in paths]
    names, notes = tuple(shards), list[str]()
    if columns.split:
        if len(shards) > 1:
            notes.append(f"the {columns.split} column decides the split, not the names of the files")
        shards = {"train": files}
        names = _split_values(files, columns)
    if "train" not in names:
        raise UserError(
            f"{location} has {', '.join(names)} and no train split; shards are named train-*.parquet, test-*"
        )
    if location.is_file() and _split_of_file(location) not in (None, "train") and not columns.split:
        notes.append(
            f"one file is one train split, whatever it is called; give the folder {location.parent} for all"
        )
    return Source(
        name=location.resolve().name.removesuffix(".parquet"),
        location=location,
        splits={
            split: partial(_open, location, shards, columns, split) for split in SPLITS if split in names
        },
        marker=lambda: hash_of_files(files),
        notes=tuple(notes),
        kind="Parquet",
    )


def _shards(location: Path) -> dict[str, list[Path]]:
    if location.is_file():
        return {"train": [location]}
    shards: dict[str, list[Path]] = {}
    unnamed: list[Path] = []
    for path in find_parquet(location):
        split = _split_of_file(path) or split_of(path.parent.name)
        (shards.setdefault(split, []) if split else unnamed).append(path)
    if unnamed and shards:
        raise UserError(
            f"{location}: {unnamed[0].name} does not say its split; name shards train-*, validation-*, test-*"
        )
    return shards or {"train": unnamed}


def _split_of_file(path: Path) -> str | None:
    return split_of(re.split(r"[^A-Za-z]", path.stem, maxsplit=1)[0])


def _columns(path: Path) -> _Columns:
    schema = open_parquet(path).schema_arrow
    features = _features(schema.metadata or {})
    image = _image_column(schema, features)
    label = _named(
        schema, [n for n in schema.names if features.get(n, {}).get("_type") == "ClassLabel"], _LABEL
    )
    if not image or not label:
        missing = "an image column (binary, or a struct with bytes)" if not image else "a label column"
        raise UserError(
            f"{path} has no {missing}; its columns are {', '.join(schema.names)}; expected image and label"
        )
    classes = features.get(label, {}).get("names") or _json(schema.metadata or {}, b"classes") or ()
    return _Columns(
        image=image,
        label=label,
        split="split" if "split" in schema.names else "",
        name=next(
            (n for n in _NAME if n in schema.names and str(schema.field(n).type).endswith("string")), ""
        ),
        classes=tuple(str(name) for name in classes),
    )


def _image_column(schema: Any, features: dict[str, Any]) -> str:
    def path_of(name: str) -> str:
        kind = schema.field(name).type
        if str(kind) in {"binary", "large_binary"}:
            return name
        inner = (
            {kind.field(i).name for i in range(kind.num_fields)} if str(kind).startswith("struct") else set()
        )
        return f"{name}.bytes" if "bytes" in inner else ""

    usable = [name for name in schema.names if path_of(name)]
    chosen = _named(
        schema, [name for name in usable if features.get(name, {}).get("_type") == "Image"], _IMAGE
    )
    chosen = chosen if chosen in usable else (usable[0] if len(usable) == 1 else "")
    return path_of(chosen) if chosen else ""


def _named(schema: Any, declared: Sequence[str], usual: Sequence[str]) -> str:
    # What the schema declares comes first, but of several (fine_label, coarse_label) the usual name.
    among = [name for name in usual if name in (declared or schema.names)]
    return among[0] if among else (declared[0] if declared else "")


def _features(metadata: dict[bytes, bytes]) -> dict[str, Any]:
    info = _json(metadata, b"huggingface")
    features = info.get("info", {}).get("features", {}) if isinstance(info, dict) else {}
    return {name: entry for name, entry in features.items() if isinstance(entry, dict)}


def _json(metadata: dict[bytes, bytes], key: bytes) -> Any:
    try:
        return json.loads(metadata.get(key, b"null"))
    except ValueError:
        return None


def _values(paths: Sequence[Path], column: str) -> NDArray[Any]:
    parts = []
    for path in paths:
        file = open_parquet(path)
        if column not in file.schema_arrow.names:
            raise UserError(f"{path} has no column {column!r}, which the other shards have; fetch it again")
        try:
            found = file.read(columns=[column]).column(0)
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is damaged: {str(error).splitlines()[0]}; fetch it again") from None
        if found.null_count:
            raise UserError(
                f"{path}: {found.null_count} cells of the column {column!r} are empty; fill them or drop "
                f"the rows"
            )
        whole = str(found.type).startswith(("int", "uint"))
        parts.append(np.asarray(found.to_numpy()) if whole else np.array(found.to_pylist(), dtype=np.str_))
    return np.concatenate(parts)


def _split_values(paths: Sequence[Path], columns: _Columns) -> tuple[str, ...]:
    words = np.unique(_values(paths, columns.split)).tolist()
    strange = [word for word in words if split_of(str(word)) is None]
    if strange:
        raise UserError(
            f"{paths[0]}: {strange[0]!r} is no split; allowed: train, validation (val, dev), test"
        )
    return tuple({str(split_of(str(word))) for word in words})


def _open(location: Path, shards: dict[str, list[Path]], columns: _Columns, split: str) -> Dataset:
    paths = shards["train" if columns.split else split]
    labels = _values(paths, columns.label)
    if not len(labels):
        raise UserError(f"{paths[0]} has no rows; fetch it again")
    classes = columns.classes or class_names(
        labels if columns.split else _values(shards["train"], columns.label)
    )
    rows = np.arange(len(labels))
    if columns.split:
        words = _values(paths, columns.split)
        rows = np.flatnonzero([split_of(str(word)) == split for word in words.tolist()])
    where = f"{paths[0]}, column {columns.label!r}"
    return CellDataset(
        cell=ParquetCells(paths, columns.image),
        rows=rows,
        labels=class_indices(labels[rows], classes, numbered=bool(columns.classes), where=where),
        classes=classes,
        row_name=_row_names(location, paths, columns if len(shards) == 1 else replace(columns, name="")),
        mark=partial(hash_of_files, paths),
    )


def _row_names(location: Path, paths: Sequence[Path], columns: _Columns) -> Any:
    if columns.name:
        names = _values(paths, columns.name)
        if len(np.unique(names)) == len(names):
            return lambda row: str(names[row])
    shown = [path.relative_to(location).as_posix() if path != location else path.name for path in paths]
    ends = np.cumsum([open_parquet(path).metadata.num_rows for path in paths])

    def numbered(row: int) -> str:
        file = int(np.searchsorted(ends, row, side="right"))
        return f"{shown[file]}#{row - (ends[file - 1] if file else 0)}"

    return numbered
