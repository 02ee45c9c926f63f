"""Train, validation and test of a source: the official splits if there are any, else held out from train."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.data.dataset import Subset, image_name
from convscope.data.sources.origin import Source
from convscope.data.stratified_split import stratified_split
from convscope.data.targets import has_class_labels, strata_of

Indices = NDArray[np.int64]
HeldOut = Literal["validation", "test"]


@dataclass(frozen=True, eq=False)
class Splits:
    """What training sees, and the test split, of which nothing is read before `open_test()`.

    `held_out`: for each split that was held out from train, its indices into `official`, the source's train
    split; `fractions`: the fraction of each. `exclude`: names of images that are in no split.
    """

    train: Dataset
    validation: Dataset
    open_test: Callable[[], Dataset]
    seed: int
    fractions: Mapping[HeldOut, float]
    held_out: Mapping[HeldOut, Indices]
    exclude: tuple[str, ...]
    official: Dataset
    source: Source

    def record(self) -> dict[str, Any]:
        """How each split came about, as JSON holds it; `from_record` makes the same split of it again."""
        origin = f"official less {' and '.join(sorted(self.held_out))}" if self.held_out else "official"
        splits: dict[str, Any] = {"train": {"origin": origin, "images": len(self.train)}}
        for split in ("validation", "test"):
            splits[split] = self._entry(split) if split in self.held_out else {"origin": "official"}
        return {
            "seed": self.seed,
            "exclude": list(self.exclude),
            "source": self.source.fingerprint(),
            "source_train_images": len(self.official),
            "splits": splits,
        }

    def _entry(self, split: HeldOut) -> dict[str, Any]:
        """Images of files by name, so that a record outlives a new file beside them; of arrays by index."""
        # Images of an array have no names but their indices; only their number is checked later.
        indices = self.held_out[split].tolist()
        entry = {
            "origin": "held out from train",
            "fraction": self.fractions[split],
            "images": len(indices),
        }
        if hasattr(self.official, "encoded"):
            return entry | {"names": [image_name(self.official, i) for i in indices]}
        return entry | {"indices": indices}


def split_source(
    source: Source,
    *,
    seed: int,
    validation: float = 0.1,
    test: float = 0.15,
    exclude: Collection[str] = (),
    groups: Mapping[str, int] | None = None,
) -> Splits:
    """The splits of a source; a missing validation or test split is held out from train, stratified.

    Args:
        source: has a train split. Of a source with other targets than class labels, their strata are
            balanced.
        seed: decides which images are held out.
        validation: the fraction of the source's train split to hold out, where it has no validation split.
        test: the same for the test split; both above 0, together below 1.
        exclude: names of images to drop from every split.
        groups: a number by name; images with the same number (duplicates) are never torn apart.

    Raises:
        UserError: there is no train split, a fraction makes no sense, or a class has too few images to be in
            every part; it is named.

    >>> from convscope.data.source import open_source
    >>> splits = split_source(open_source("fashion_mnist"), seed=0)
    >>> len(splits.train), len(splits.validation)
    (54000, 6000)
    """
    official = _opened_train(source)
    rest = _without(official, exclude)
    wanted = _wanted(source, validation=validation, test=test)
    if has_class_labels(official):
        _check_classes(official, rest, parts=1 + len(wanted), source=source)
    strata, units = strata_of(official), _groups(official, groups)
    held_out: dict[HeldOut, Indices] = {}
    left = 1.0
    for stream, (split, fraction) in enumerate(wanted.items()):
        # The fraction counts from the whole, and a part of it is gone already.
        kept, taken = stratified_split(
            strata[rest],
            fraction=fraction / left,
            seed=(seed, stream),
            groups=None if units is None else units[rest],
        )
        if not len(taken):
            raise UserError(f"{source.location}: no image can be held out for {split}; add images")
        held_out[split], rest, left = rest[taken], rest[kept], left - fraction
    return _assemble(source, official, held_out, seed=seed, fractions=wanted, exclude=exclude)


def from_record(source: Source, record: Mapping[str, Any]) -> Splits:
    """The splits that a record describes.

    Args:
        source: the same source, with the same targets.
        record: what `Splits.record()` gave.

    Raises:
        UserError: the images have changed since.
    """
    official = _opened_train(source)
    # The fingerprint is not compared: a copy on another machine has other times, and is the same data.
    if len(official) != record["source_train_images"]:
        raise UserError(
            f"{source.location} has {len(official)} training images and had {record['source_train_images']} "
            "when this run was split; give back the files it had, or start a new run with --out"
        )
    fractions: dict[HeldOut, float] = {}
    held_out: dict[HeldOut, Indices] = {}
    for split in _HOLD_OUT_ORDER:
        entry = record["splits"][split]
        if entry["origin"] == "official":
            if split not in source.splits:
                raise UserError(
                    f"{source.location} had an official {split} split when this run began; it is gone now"
                )
            continue
        fractions[split] = entry["fraction"]
        held_out[split] = _recorded(official, entry, source)
    return _assemble(
        source, official, held_out, seed=record["seed"], fractions=fractions, exclude=tuple(record["exclude"])
    )


# Test first: it is then the same images whatever fraction validation takes.
_HOLD_OUT_ORDER: tuple[HeldOut, ...] = ("test", "validation")


def _opened_train(source: Source) -> Dataset:
    if "train" not in source.splits:
        raise UserError(
            f"{source.name} has no train split to learn from; it has: {', '.join(source.split_names)}"
        )
    return source.open("train")


def _wanted(source: Source, *, validation: float, test: float) -> dict[HeldOut, float]:
    fractions: dict[HeldOut, float] = {"test": test, "validation": validation}
    # An official split is never cut: figures stay comparable with those that others publish.
    wanted = {split: fractions[split] for split in _HOLD_OUT_ORDER if split not in source.splits}
    if any(not 0 < fraction < 1 for fraction in wanted.values()) or sum(wanted.values()) >= 1:
        raise UserError(
            f"fractions to hold out from train must be above 0 and sum to less than 1; got {wanted}"
        )
    return wanted


def _without(dataset: Dataset, exclude: Collection[str]) -> Indices:
    dropped = frozenset(exclude)
    if not dropped:
        return np.arange(len(dataset))
    return np.array([i for i in range(len(dataset)) if image_name(dataset, i) not in dropped], np.int64)


def _check_classes(official: Dataset, rest: Indices, *, parts: int, source: Source) -> None:
    # Counted after exclusion: a class may have lost all but one image to the quarantine.
    counts = np.bincount(np.asarray(official.labels)[rest], minlength=len(official.classes))
    few = np.flatnonzero(counts < parts)
    if few.size:
        named = ", ".join(f"{official.classes[k]!r} ({counts[k]})" for k in few[:5])
        more = f" and {few.size - 5} more" if few.size > 5 else ""
        raise UserError(
            f"{source.location}: each class needs at least {parts} usable training image{'s'[: parts > 1]}, "
            f"one for each part that is split off and one to learn from; too few in {named}{more}: add "
            "images or take it out"
        )


def _groups(official: Dataset, groups: Mapping[str, int] | None) -> Indices | None:
    if not groups:
        return None
    # An image without a duplicate is a group of its own, with a number that no group has.
    free = 1 + max(groups.values())
    numbers = (groups.get(image_name(official, i), free + i) for i in range(len(official)))
    return np.fromiter(numbers, np.int64, len(official))


def _assemble(
    source: Source,
    official: Dataset,
    held_out: Mapping[HeldOut, Indices],
    *,
    seed: int,
    fractions: Mapping[HeldOut, float],
    exclude: Collection[str],
) -> Splits:
    usable = _without(official, exclude)
    taken = np.concatenate([np.empty(0, np.int64), *held_out.values()])
    rest = np.setdiff1d(usable, taken, assume_unique=True)

    def part(split: HeldOut) -> Dataset:
        if split in held_out:
            return Subset(official, held_out[split])
        opened = source.open(split)
        # Label 3 would mean another class in the test split, and accuracy would fall without an error.
        if opened.classes != official.classes:
            raise UserError(
                f"{source.location}: the {split} split has other classes than train: {opened.classes}"
            )
        return _narrowed(opened, _without(opened, exclude))

    return Splits(
        train=_narrowed(official, rest),
        validation=part("validation"),
        open_test=lambda: part("test"),
        seed=seed,
        fractions=dict(fractions),
        held_out=dict(held_out),
        exclude=tuple(sorted(exclude)),
        official=official,
        source=source,
    )


def _narrowed(dataset: Dataset, indices: Indices) -> Dataset:
    # The whole itself, so that an array of all images needs no list of rows to gather.
    return dataset if len(indices) == len(dataset) else Subset(dataset, indices)


def _recorded(official: Dataset, entry: Mapping[str, Any], source: Source) -> Indices:
    if "indices" in entry:
        return np.asarray(entry["indices"], np.int64)
    positions = {image_name(official, i): i for i in range(len(official))}
    # A file that was renamed would silently move from validation to train.
    gone = [name for name in entry["names"] if name not in positions]
    if gone:
        raise UserError(
            f"{source.location}: {len(gone)} images that this run was split with are gone, {gone[0]} first; "
            "give them back, or start a new run with --out"
        )
    return np.array([positions[name] for name in entry["names"]], np.int64)
