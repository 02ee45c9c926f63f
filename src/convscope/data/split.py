"""Train, validation and test of a source: the official splits where there are any, held_out from train where
not.
"""

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

Indices = NDArray[np.int64]
HeldOut = Literal["validation", "test"]


@dataclass(frozen=True, eq=False)
class Splits:
    """What training sees, and the test split behind a door: nothing of it is read before `open_test()`.

    `held_out` holds, for each split taken from train, the indices into the source's train split and their
    fraction.
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
        names = not _is_numbered(self.official)
        record: dict[str, Any] = {
            "seed": self.seed,
            "exclude": list(self.exclude),
            "source": self.source.fingerprint(),
            "source_train_images": len(self.official),
            "splits": {"train": {"origin": "official", "images": len(self.train)}},
        }
        if self.held_out:
            record["splits"]["train"]["origin"] = f"official less {' and '.join(sorted(self.held_out))}"
        for split in ("validation", "test"):
            if split not in self.held_out:
                record["splits"][split] = {"origin": "official"}
                continue
            indices = self.held_out[split].tolist()
            entry = {
                "origin": "held_out from train",
                "fraction": self.fractions[split],
                "images": len(indices),
            }
            which = (
                {"names": [image_name(self.official, i) for i in indices]} if names else {"indices": indices}
            )
            record["splits"][split] = entry | which
        return record


def split_source(
    source: Source,
    *,
    seed: int,
    validation: float = 0.1,
    test: float = 0.15,
    exclude: Collection[str] = (),
    groups: Mapping[str, int] | None = None,
) -> Splits:
    """The splits of a source; a missing validation or test split is held_out, stratified, from train.

    `validation` and `test` are fractions of the source's train split. Images named in `exclude` are dropped
    from every split. Images that `groups` gives the same number (duplicates) are never torn apart. A class
    with too few images to be in every part is a UserError that names it.

    >>> from convscope.data.source import open_source
    >>> splits = split_source(open_source("fashion_mnist"), seed=0)
    >>> len(splits.train), len(splits.validation)
    (54000, 6000)
    """
    official = _opened_train(source)
    rest = _without(official, exclude)
    wanted = _wanted(source, validation=validation, test=test)
    _check_classes(official, rest, parts=1 + len(wanted), source=source)
    units = _groups(official, groups)
    held_out: dict[HeldOut, Indices] = {}
    left = 1.0
    for stream, (split, fraction) in enumerate(wanted.items()):
        labels = np.asarray(official.labels)[rest]
        share = fraction / left
        kept, taken = stratified_split(
            labels, fraction=share, seed=(seed, stream), groups=None if units is None else units[rest]
        )
        held_out[split], rest, left = rest[taken], rest[kept], left - fraction
    return _assemble(source, official, held_out, seed=seed, fractions=wanted, exclude=exclude)


def from_record(source: Source, record: Mapping[str, Any]) -> Splits:
    """The splits that `record()` described, of the same source; a UserError where the images have changed
    since.
    """
    official = _opened_train(source)
    if len(official) != record["source_train_images"]:
        raise UserError(
            f"{source.location} has {len(official)} training images and had {record['source_train_images']} "
            f"when this "
            "run was split; give back the files it had, or start a new run with --out"
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
    wanted = {split: fractions[split] for split in _HOLD_OUT_ORDER if split not in source.splits}
    if any(not 0 < fraction < 1 for fraction in wanted.values()) or sum(wanted.values()) >= 1:
        raise UserError(
            f"fractions to stratified_split from train must be above 0 and sum to less than 1; got {wanted}"
        )
    return wanted


def _without(dataset: Dataset, exclude: Collection[str]) -> Indices:
    dropped = frozenset(exclude)
    if not dropped:
        return np.arange(len(dataset))
    return np.array([i for i in range(len(dataset)) if image_name(dataset, i) not in dropped], np.int64)


def _check_classes(official: Dataset, rest: Indices, *, parts: int, source: Source) -> None:
    counts = np.bincount(np.asarray(official.labels)[rest], minlength=len(official.classes))
    few = np.flatnonzero(counts < parts)
    if few.size:
        named = ", ".join(f"{official.classes[k]!r} ({counts[k]})" for k in few[:5])
        more = f" and {few.size - 5} more" if few.size > 5 else ""
        raise UserError(
            f"{source.location}: each class needs at least {parts} usable training image{'s'[: parts > 1]}, "
            f"one for "
            f"each part that is split off and one to learn from; too few in {named}{more}: add images or "
            f"take it out"
        )


def _groups(official: Dataset, groups: Mapping[str, int] | None) -> Indices | None:
    if not groups:
        return None
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
    return dataset if len(indices) == len(dataset) else Subset(dataset, indices)


def _is_numbered(dataset: Dataset) -> bool:
    return not hasattr(dataset, "encoded")


def _recorded(official: Dataset, entry: Mapping[str, Any], source: Source) -> Indices:
    if "indices" in entry:
        return np.asarray(entry["indices"], np.int64)
    places = {image_name(official, i): i for i in range(len(official))}
    gone = [name for name in entry["names"] if name not in places]
    if gone:
        raise UserError(
            f"{source.location}: {len(gone)} images that this run was split with are gone, {gone[0]} first; "
            "give them back, or start a new run with --out"
        )
    return np.array([places[name] for name in entry["names"]], np.int64)
