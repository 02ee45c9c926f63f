"""The checks of a scan for duplicates: within a split, across splits, and under different labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from convscope.data.scanning.duplicates import exact_groups, near_pairs
from convscope.data.scanning.image_checks import Scanned
from convscope.data.scanning.image_facts import ImageFacts
from convscope.data.scanning.scan_report import Quarantined, ScanIssue, Severity


@dataclass(frozen=True)
class _Image:
    """A readable image with what its duplicates are compared by."""

    name: str
    split: str
    label: str
    facts: ImageFacts


CONFLICT = "one picture, several labels"
"""How the reason begins for which such images are in quarantine."""

_LOOK = "look at them"
_ADVICE: dict[str, tuple[Severity, str]] = {
    "exact duplicates, labels conflict": (
        "error",
        "decide which label is right; all are left out until then",
    ),
    "exact duplicates across splits": (
        "error",
        "the test would be too easy: the training copies are left out",
    ),
    "exact duplicates": ("note", "they count twice in training; remove the copies"),
    "near duplicates, labels conflict": ("warning", f"{_LOOK}; those that are all but certain are left out"),
    "near duplicates across splits": (
        "warning",
        f"{_LOOK}; training copies that are all but certain are left out",
    ),
    "near duplicates": ("note", "the same picture twice teaches little"),
}


@dataclass(frozen=True)
class Duplicates:
    """The issues, the images to leave out, and names that belong together, in groups that share no name."""

    issues: list[ScanIssue]
    left_out: list[Quarantined]
    groups: tuple[tuple[str, ...], ...]


def check_duplicates(splits: Sequence[Scanned]) -> Duplicates:
    """Exact and near duplicates over all splits.

    Left out are all images of an exact or all but certain group with conflicting labels, and the training
    images that have such a duplicate in the validation or test split.
    """
    images = _readable(splits)
    exact = [[images[i] for i in group] for group in exact_groups([image.facts.digest for image in images])]
    near, certain = _near(images)
    issues = _issues("exact duplicates", exact) + _issues("near duplicates", near)
    left_out = list(chain.from_iterable(_left_out(group) for group in exact + certain))
    return Duplicates(issues, left_out, joined([[image.name for image in group] for group in exact + near]))


def _readable(splits: Sequence[Scanned]) -> list[_Image]:
    return [
        _Image(name, s.split, s.classes[int(label)], facts)
        for s in splits
        for name, label, facts in zip(s.names, s.labels, s.facts, strict=True)
        if isinstance(facts, ImageFacts)
    ]


def _near(images: list[_Image]) -> tuple[list[list[_Image]], list[list[_Image]]]:
    """Pairs of near duplicates, and those of them that are all but certain."""
    # Of images with equal pixels the first stands for all; exact duplicates have groups of their own.
    unique = list({image.facts.digest: image for image in reversed(images)}.values())[::-1]
    thumbnails = np.array([image.facts.thumbnail for image in unique], np.uint8)
    pairs = near_pairs(thumbnails) if unique else []
    near = [[unique[pair.first], unique[pair.second]] for pair in pairs]
    return near, [group for group, pair in zip(near, pairs, strict=True) if pair.certain]


def joined(groups: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Groups that share a name, made one: a = b and b = c give a, b, c; sorted, whatever their order was.

    >>> joined([["a", "b"], ["x", "y"], ["b", "c"]])
    (('a', 'b', 'c'), ('x', 'y'))
    """
    parent: dict[str, str] = {}

    # Union–find with path halving: nearly constant time a name.
    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    for group in groups:
        for name in group:
            parent[root(name)] = root(group[0])
    families: dict[str, list[str]] = {}
    for name in sorted(parent):
        families.setdefault(root(name), []).append(name)
    return tuple(sorted(tuple(family) for family in families.values()))


def _issues(kind: str, groups: list[list[_Image]]) -> list[ScanIssue]:
    sorted_out: dict[str, list[tuple[str, ...]]] = {}
    for group in groups:
        # A group may be both, and is then named under both.
        conflict, across = len({i.label for i in group}) > 1, len({i.split for i in group}) > 1
        kinds = [f"{kind}, labels conflict"] * conflict + [f"{kind} across splits"] * across
        for name in kinds or [kind]:
            sorted_out.setdefault(name, []).append(tuple(f"{i.name} ({i.split}, {i.label})" for i in group))
    return [
        ScanIssue(name, *advice, tuple(sorted_out[name]))
        for name, advice in _ADVICE.items()
        if name in sorted_out
    ]


def _left_out(group: list[_Image]) -> list[Quarantined]:
    if len({image.label for image in group}) > 1:
        # Four of them: a broken export may hold a thousand equal images.
        names = " = ".join(f"{image.name} ({image.label})" for image in group[:4])
        return [Quarantined(i.name, i.split, f"{CONFLICT}: {names}") for i in group]
    # Validation and test stay whole, so that figures do not depend on what was found.
    held_out = [image for image in group if image.split != "train"]
    if not held_out:
        return []
    reason = f"also in the {held_out[0].split} split, as {held_out[0].name}"
    return [Quarantined(image.name, image.split, reason) for image in group if image.split == "train"]
