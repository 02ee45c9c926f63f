"""What a scan found, as values that JSON can hold: issues for people, and the list of images to leave out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["error", "warning", "note"]

EXAMPLES = 5
"""How many items of an issue are shown to people; the complete list is in `to_dict`."""


@dataclass(frozen=True)
class ScanIssue:
    """One kind of trouble. `count` of `items`; `advice` says what to do.

    An item is a tuple of texts: the names of images that belong together, or a name and what is wrong with
    it.
    """

    kind: str
    severity: Severity
    advice: str
    items: tuple[tuple[str, ...], ...]

    @property
    def count(self) -> int:
        """How many items there are."""
        return len(self.items)

    @property
    def examples(self) -> tuple[tuple[str, ...], ...]:
        """The first five items."""
        return self.items[:EXAMPLES]


@dataclass(frozen=True)
class Quarantined:
    """An image to leave out: its name, its split and the reason. Nothing is deleted."""

    name: str
    split: str
    reason: str


@dataclass(frozen=True)
class ScanReport:
    """What a scan found in a source; `images` counts them by split, `fingerprint` says which files were seen.

    `duplicates`: names of images that show the same, in groups that share no name; a split should not tear
    them apart.
    """

    source: str
    fingerprint: str
    images: Mapping[str, int]
    findings: tuple[ScanIssue, ...]
    quarantine: tuple[Quarantined, ...]
    duplicates: tuple[tuple[str, ...], ...] = ()

    def quarantined(self, split: str) -> frozenset[str]:
        """The names to leave out of one split."""
        return frozenset(entry.name for entry in self.quarantine if entry.split == split)

    def groups(self) -> dict[str, int]:
        """The number of its group for each image that has a duplicate, as `split_source` takes it.

        >>> ScanReport("cats", "", {"train": 3}, (), (), (("a.jpg", "b.jpg"),)).groups()
        {'a.jpg': 0, 'b.jpg': 0}
        """
        # Groups share no name, so that no image has two numbers.
        return {name: number for number, group in enumerate(self.duplicates) for name in group}

    def to_dict(self) -> dict[str, Any]:
        """Everything, complete lists included, ready for JSON.

        >>> ScanReport("cats", "", {"train": 2}, (), ()).to_dict()["images"]
        {'train': 2}
        """
        findings = [
            {**asdict(f), "count": f.count, "items": [list(item) for item in f.items]} for f in self.findings
        ]
        return {
            "source": self.source,
            "fingerprint": self.fingerprint,
            "images": dict(self.images),
            "findings": findings,
            "quarantine": [asdict(entry) for entry in self.quarantine],
            "duplicates": [list(group) for group in self.duplicates],
        }

    @classmethod
    def from_dict(cls, saved: Mapping[str, Any]) -> ScanReport:
        """What `to_dict` gave; KeyError or TypeError where it is something else."""
        findings = tuple(
            ScanIssue(f["kind"], f["severity"], f["advice"], tuple(tuple(item) for item in f["items"]))
            for f in saved["findings"]
        )
        quarantine = tuple(Quarantined(**entry) for entry in saved["quarantine"])
        duplicates = tuple(tuple(group) for group in saved["duplicates"])
        return cls(
            saved["source"], saved["fingerprint"], dict(saved["images"]), findings, quarantine, duplicates
        )
