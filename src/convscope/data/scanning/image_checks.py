"""The checks of a scan that look at images one by one, and at classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from convscope.data.preparing.decode import UnreadableImage
from convscope.data.scanning.image_facts import ImageFacts
from convscope.data.scanning.scan_report import ScanIssue, Severity

TINY, HUGE, LONG = 16, 50_000_000, 5.0
"""A shorter side below 16 pixels, more than 50 megapixels, a side five times the other: worth a look."""

IMBALANCE_NOTE, IMBALANCE_WARNING = 3.0, 10.0
"""How many times larger than the smallest the largest class may be before it is mentioned, or warned of."""


@dataclass(frozen=True, eq=False)
class Scanned:
    """One split as a scan sees it: names and labels, and the facts or the error of each image."""

    split: str
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    names: Sequence[str]
    facts: Sequence[ImageFacts | UnreadableImage]

    def readable(self) -> Iterator[tuple[str, ImageFacts]]:
        """Name and facts of each image that could be decoded."""
        for name, facts in zip(self.names, self.facts, strict=True):
            if isinstance(facts, ImageFacts):
                yield name, facts

    def unreadable(self) -> Iterator[tuple[str, UnreadableImage]]:
        """Name and error of each image that could not be decoded."""
        for name, facts in zip(self.names, self.facts, strict=True):
            if isinstance(facts, UnreadableImage):
                yield name, facts

    def sizes(self) -> dict[str, int]:
        """The number of images of each class, in the order of the classes."""
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))


# One issue a kind, since what to do differs.
_UNREADABLE = {
    "unavailable": "files that cannot be opened: restore them or their permissions",
    "empty": "files of 0 bytes: copy them again",
    "truncated": "files that are cut short: copy them again",
    "unreadable": "files that are damaged or not images: replace or remove them",
    "bomb": "files that promise more pixels than are allowed: make them smaller",
}


def check_images(splits: Sequence[Scanned]) -> list[ScanIssue]:
    """Issues of single images: unreadable, endings that lie, mixed modes, EXIF rotation, extreme sizes."""
    readable = list(chain.from_iterable(split.readable() for split in splits))
    issues = _unreadable(splits)
    for kind, severity, advice, check in _CHECKS:
        items = tuple((name, what) for name, facts in readable if (what := check(facts)))
        issues.append(ScanIssue(kind, severity, advice, items))
    issues += _mixed_modes(Counter(facts.mode for _, facts in readable))
    return [issue for issue in issues if issue.items]


def _unreadable(splits: Sequence[Scanned]) -> list[ScanIssue]:
    errors = list(chain.from_iterable(split.unreadable() for split in splits))
    issues = []
    for trouble, advice in _UNREADABLE.items():
        items = tuple((name, error.reason) for name, error in errors if error.trouble == trouble)
        issues.append(ScanIssue(trouble, "error", f"{advice}; they are left out until then", items))
    return issues


def _mixed_modes(modes: Counter[str]) -> list[ScanIssue]:
    if len(modes) < 2:
        return []
    counted = tuple((mode, str(count)) for mode, count in modes.most_common())
    return [ScanIssue("modes", "note", "all become grey or RGB when they are read; nothing to do", counted)]


def check_classes(splits: Sequence[Scanned]) -> list[ScanIssue]:
    """Issues of classes: empty ones, ones with a single image, sets that differ between splits, imbalance."""
    issues = []
    for split in splits:
        sizes = split.sizes()
        empty = tuple((name, split.split) for name, n in sizes.items() if n == 0)
        single = tuple((name, split.split) for name, n in sizes.items() if n == 1)
        issues += [ScanIssue("empty class", "warning", "add images or remove the class", empty)]
        issues += [
            ScanIssue("class of one", "warning", "one image cannot be in two splits: add some", single)
        ]
    issues += _differing(splits) + _imbalance(splits)
    return [issue for issue in issues if issue.items]


def _differing(splits: Sequence[Scanned]) -> list[ScanIssue]:
    present = {s.split: {name for name, n in s.sizes().items() if n} for s in splits}
    # Of all splits: a class that training lacks can never be predicted, which is an error.
    known = set().union(*present.values())
    items = tuple(
        (name, f"absent from {split}") for split, names in present.items() for name in sorted(known - names)
    )
    unlearnt = any("absent from train" in item for item in items)
    advice = "each split needs every class; check the spelling of the folders"
    return [ScanIssue("class sets differ", "error" if unlearnt else "warning", advice, items)]


def _imbalance(splits: Sequence[Scanned]) -> list[ScanIssue]:
    # Of training images: a balanced test split says nothing about them.
    sizes = {name: n for name, n in splits[0].sizes().items() if n}
    if not sizes:
        return []
    most, least = max(sizes, key=lambda k: sizes[k]), min(sizes, key=lambda k: sizes[k])
    ratio = sizes[most] / sizes[least]
    if ratio < IMBALANCE_NOTE:
        return []
    severity: Severity = "warning" if ratio >= IMBALANCE_WARNING else "note"
    item = (f"{most}: {sizes[most]}", f"{least}: {sizes[least]}", f"{ratio:.1f} to 1")
    advice = "--set train.imbalance=weights, and read macro-F1 beside accuracy"
    return [ScanIssue("imbalance", severity, advice, (item,))]


def _size(facts: ImageFacts) -> str:
    return f"{facts.width}×{facts.height}"


def _long(facts: ImageFacts) -> bool:
    return max(facts.width, facts.height) > LONG * min(facts.width, facts.height)


# Kind, severity, advice, and what is wrong with an image, empty where nothing is.
_CHECKS: tuple[tuple[str, Severity, str, Callable[[ImageFacts], str]], ...] = (
    (
        "ending",
        "note",
        "read by content, so nothing to do; rename for other programs",
        lambda f: f.actual and f"is {f.actual}",
    ),
    (
        "turned",
        "note",
        "turned upright as EXIF says when they are read; nothing to do",
        lambda f: "EXIF" if f.turned else "",
    ),
    (
        "tiny",
        "warning",
        "enlarging adds no detail: look at them",
        lambda f: _size(f) if min(f.height, f.width) < TINY else "",
    ),
    ("huge", "note", "slow to read the first time", lambda f: _size(f) if f.height * f.width > HUGE else ""),
    (
        "long",
        "warning",
        "cropping keeps the middle alone: --set data.resize=pad, or cut them",
        lambda f: _size(f) if _long(f) else "",
    ),
)
