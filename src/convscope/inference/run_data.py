"""The images that belong to a bundle: those it learned from, by the split that its run wrote down, or others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from convscope.core.bundle import Bundle
from convscope.core.contracts import Dataset, Progress, Tell
from convscope.core.errors import UserError
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import Source, open_source
from convscope.data.split import from_record


def open_prepared(
    bundle: Bundle, folder: Path, data: str | Path | None = None, *, split: str, tell: Tell | None = None
) -> tuple[str, str, PreparedSplit]:
    """The images of a split as the network of a bundle takes them: the name of the data, what part of it, the
    images.

    `folder`: where the run lies. `data`, `split` and `tell` as in `evaluate`, and so are the errors.
    """
    name, split, dataset = open_images(bundle, folder, data, split=split)
    return (
        name,
        split,
        _split(dataset, bundle, lambda done, total: tell("decode", done, total) if tell else None),
    )


def open_images(
    bundle: Bundle, folder: Path, data: str | Path | None, *, split: str
) -> tuple[str, str, Dataset]:
    """The name of the data, what part of it, and the images that are meant, not yet decoded; see
    `open_prepared`.
    """
    if data is not None:
        source = open_source(data)
        if len(source.splits) == 1:
            return source.name, "all", source.open(source.split_names[0])
        return source.name, split, source.open(split)
    source = source_of(bundle)
    return source.name, split, _split_of_run(source, folder / "split.json", split)


def source_of(bundle: Bundle) -> Source:
    """The data that a network was trained on; UserError where the bundle does not say, or they are not
    there.
    """
    try:
        return open_source(bundle.provenance["config"]["data"]["source"])
    except (KeyError, TypeError):
        raise UserError(
            "the bundle does not say what data it was trained on; name the images with --data"
        ) from None


def _split_of_run(source: Source, record: Path, split: str) -> Dataset:
    if record.is_file():
        try:
            splits = from_record(source, json.loads(record.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{record} is damaged ({error}); name the images with --data") from None
        return (
            splits.open_test()
            if split == "test"
            else {"train": splits.train, "validation": splits.validation}[split]
        )
    if split in source.splits and split == "test":
        return source.open(split)
    raise UserError(f"{record} is missing, so nobody knows which images were {split}; name them with --data")


def _split(dataset: Dataset, bundle: Bundle, progress: Progress) -> PreparedSplit:
    """The images prepared as the bundle says, their labels counted in its classes."""
    part = prepare_split(dataset, Preprocess.from_dict(bundle.preprocess), progress=progress)
    if dataset.classes == bundle.classes:
        return part
    unknown = sorted(set(dataset.classes) - set(bundle.classes))
    if unknown:
        raise UserError(
            f"the data has classes that the network does not know: {', '.join(unknown[:5])}; "
            f"it knows {', '.join(bundle.classes[:10])}{'…' if len(bundle.classes) > 10 else ''}"
        )
    place = np.array([bundle.classes.index(name) for name in dataset.classes])
    return part.relabelled(place)
