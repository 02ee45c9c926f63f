"""The checks of a scan for duplicates: within a split, across splits, and under different labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from convscope.data.scanning.duplicates import exact_groups, near_pairs
from convscope.data.scanning.image_checks import Scanned
from convscope.data.scanning.image_facts import ImageFacts
from convscope.data.scanning.scan_report import Quarantined, ScanIssue, Severity


@dataclass(frozen=True)
class _Image:
    """A readable image: what duplicates are val_metrics by."""

    name: str
    split: str
    label: str
    facts: ImageFacts


CONFLICT = "one picture, several labels"
"""How the reason begins for which such images are in quarantine."""

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
    "near duplicates, labels conflict": (
        "warning",
        "look at them; those that are all but certain are left out",
    ),
    "near duplicates across splits": (
        "warning",
        "look at them; training copies that are all but certain are left out",
    ),
    "near duplicates": ("note", "the same picture twice teaches little"),
}


@dataclass(frozen=True)
class Doubles:
    """The findings, the images to leave out, and the names that belong together, in groups that share no
    name.
    """

    findings: list[ScanIssue]
    left_out: list[Quarantined]
    groups: tuple[tuple[str, ...], ...]


def check_doubles(splits: Sequence[Scanned]) -> Doubles:
    """Exact and near duplicates over all splits.

    Left out are all images of an exact or all but certain group with conflicting labels, and the training
    images that have such a double in the validation or test split.
    """
    images = [
        _Image(name, s.split, s.classes[int(label)], facts)
        for s in splits
        for name, label, facts in zip(s.names, s.labels, s.facts, strict=True)
        if isinstance(facts, ImageFacts)
    ]
    exact = [[images[i] for i in group] for group in exact_groups([image.facts.digest for image in images])]
    unique = list({image.facts.digest: image for image in reversed(images)}.values())[::-1]
    thumbnails = np.array([image.facts.thumbnail for image in unique], np.uint8)
    pairs = near_pairs(thumbnails) if unique else []
    near = [[unique[pair.first], unique[pair.second]] for pair in pairs]
    sure = exact + [group for group, pair in zip(near, pairs, strict=True) if pair.certain]
    findings = _findings("exact duplicates", exact) + _findings("near duplicates", near)
    left_out = [entry for group in sure for entry in _left_out(group)]
    return Doubles(findings, left_out, joined([[image.name for image in group] for group in exact + near]))


def joined(groups: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Groups that share a name, made one: a = b and b = c give a, b, c. Sorted, so that equal input gives
    equal output.

    >>> joined([["a", "b"], ["x", "y"], ["b", "c"]])
    (('a', 'b', 'c'), ('x', 'y'))
    """
    parent: dict[str, str] = {}

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


def _findings(kind: str, groups: list[list[_Image]]) -> list[ScanIssue]:
    sorted_out: dict[str, list[tuple[str, ...]]] = {}
    for group in groups:
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
        told = " = ".join(f"{image.name} ({image.label})" for image in group[:4])
        return [Quarantined(i.name, i.split, f"{CONFLICT}: {told}") for i in group]
    held_out = [image for image in group if image.split != "train"]
    if not held_out:
        return []
    told = f"also in the {held_out[0].split} split, as {held_out[0].name}"
    return [Quarantined(image.name, image.split, told) for image in group if image.split == "train"]
