"""The images that belong to a bundle: those of its run, by the split that was written down, or others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from convscope.core.bundle import Bundle
from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.core.run.progress import Progress
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import Source, open_source
from convscope.data.split import from_record
from convscope.data.targets import Targets, source_with_targets


def open_prepared(
    bundle: Bundle,
    folder: Path,
    data: str | Path | None = None,
    *,
    split: str,
    targets: Callable[[Dataset], Targets] | None = None,
    progress: Progress | None = None,
) -> tuple[str, str, PreparedSplit]:
    """The images of a split as the network of a bundle takes them.

    Args:
        bundle: has the preprocessing, the names of the outputs, and where its own data are.
        folder: where the run lies, with the split that it wrote down.
        data: other images, by name or path; None for those of the run.
        split: train, validation or test; of other data that are not split, all images count.
        targets: what the network is to say of the images; their class labels by default.
        progress: is called with "decode" and how far it is.

    Returns:
        The name of the data, that of the split, "all" where there is none, and the images.

    Raises:
        UserError: the data, the split or the classes do not fit.
    """
    name, split, dataset = open_images(bundle, folder, data, split=split, targets=targets)
    return name, split, _prepared(dataset, bundle, progress)


def open_images(
    bundle: Bundle,
    folder: Path,
    data: str | Path | None,
    *,
    split: str,
    targets: Callable[[Dataset], Targets] | None = None,
) -> tuple[str, str, Dataset]:
    """The images of a split, not yet decoded; arguments and errors are those of `open_prepared`."""
    source = source_of(bundle) if data is None else open_source(data)
    # The source and not the split: subsets of one data set share its cache of pixels.
    if targets is not None:
        source = source_with_targets(source, targets)
    if data is None:
        return source.name, split, _split_of_run(source, folder / "split.json", split)
    # A plain folder of images calls its only split train, whatever it is for.
    if len(source.splits) == 1:
        return source.name, "all", source.open(source.split_names[0])
    return source.name, split, source.open(split)


def source_of(bundle: Bundle) -> Source:
    """The data that a network was trained on; UserError where the bundle does not name them."""
    try:
        return open_source(bundle.provenance["config"]["data"]["source"])
    # TypeError: one of the levels is null or text.
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
        if split == "test":
            return splits.open_test()
        return {"train": splits.train, "validation": splits.validation}[split]
    # A bundle that was copied away: the official test split is the only one that needs no record.
    if split in source.splits and split == "test":
        return source.open(split)
    raise UserError(f"{record} is missing, so nobody knows which images were {split}; name them with --data")


def _prepared(dataset: Dataset, bundle: Bundle, progress: Progress | None) -> PreparedSplit:
    """The images prepared as the bundle says, with targets that count its outputs."""
    images = prepare_split(dataset, Preprocess.from_dict(bundle.preprocess), progress=progress)
    if dataset.classes == bundle.classes:
        return images
    # Other data may have the same classes in another order, or only some of them; with other targets a name
    # is not an index, and all names are the task's own.
    unknown = sorted(set(dataset.classes) - set(bundle.classes))
    if unknown:
        raise UserError(
            f"the data has classes that the network does not know: {', '.join(unknown[:5])}; "
            f"it knows {', '.join(bundle.classes[:10])}{'…' if len(bundle.classes) > 10 else ''}"
        )
    return images.relabelled(np.array([bundle.classes.index(name) for name in dataset.classes]))
