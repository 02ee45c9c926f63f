"""What a check of labels found, by name: pictures with several labels, labels in doubt, and how many may be
wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convscope.core.spreadsheet import csv_text
from convscope.label_audit.confident_learning import LabelIssues
from convscope.label_audit.label_conflicts import LabelConflict

HEADER = ("name", "label", "suggested", "p_label", "p_suggested", "conflict")

ADVICE = {
    "class folders": "move a file into the folder of its class, or out of the data",
    "CSV": "change the label in the table, or take the row out",
}
"""What to do about a wrong label, by the kind of source; arrays and tables of pixels have to be written anew.
"""
ANEW = "write the data anew, as NPZ, CSV or class folders, without these images or with other labels"


@dataclass(frozen=True)
class NamedLabelIssue:
    """An image by name, its label, the class that is suggested, and what networks that never saw it give to
    both.

    `position`: its place among the images.
    """

    name: str
    label: str
    suggested: str
    p_label: float
    p_suggested: float
    position: int


@dataclass(frozen=True, eq=False)
class LabelReport:
    """A check of the labels of one split. `doubtful`: most suspicious first, without the images of
    `conflicts`.

    `accuracy`: the share of images for which the networks' answer is the label. `kind`: of the source.
    `origin`: data, settings, hardware and versions, as plain values. `folder`: where the files are.
    """

    data: str
    kind: str
    split: str
    classes: tuple[str, ...]
    images: int
    accuracy: float
    conflicts: tuple[LabelConflict, ...]
    doubtful: tuple[NamedLabelIssue, ...]
    trouble: LabelIssues
    origin: Mapping[str, Any]
    folder: Path

    @property
    def wrong_share(self) -> float:
        """The estimated share of wrong labels among all images."""
        return self.trouble.wrong_share

    @property
    def advice(self) -> str:
        """What a person can do about a wrong label."""
        train = "; training leaves out pictures with several labels by itself" if self.conflicts else ""
        return f"nothing was changed; where a label is wrong, {ADVICE.get(self.kind, ANEW)}{train}"

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "data": self.data,
            "split": self.split,
            "images": self.images,
            "classes": list(self.classes),
            "out_of_fold_accuracy": self.accuracy,
            "estimated_wrong_share": self.wrong_share,
            "conflicts": [asdict(conflict) for conflict in self.conflicts],
            "doubtful": [asdict(row) for row in self.doubtful],
            "per_class": [
                asdict(row)
                | {
                    "label": self.classes[row.label],
                    "likeliest": None if row.likeliest is None else self.classes[row.likeliest],
                }
                for row in self.trouble.per_class
            ],
            "confident_joint": self.trouble.confident_joint.tolist(),
            "joint": self.trouble.joint.tolist(),
            **self.origin,
        }

    def to_csv(self) -> str:
        """A row an image: those of conflicts first, numbered from 1, then the doubtful ones."""
        conflicts = (
            (name, label, conflict.suggested, None, conflict.p_suggested, number)
            for number, conflict in enumerate(self.conflicts, 1)
            for name, label in zip(conflict.names, conflict.labels, strict=True)
        )
        doubtful = (
            (row.name, row.label, row.suggested, row.p_label, row.p_suggested, None) for row in self.doubtful
        )
        return csv_text(HEADER, [*conflicts, *doubtful])


def named_issues(
    trouble: LabelIssues, names: Sequence[str], classes: Sequence[str]
) -> tuple[NamedLabelIssue, ...]:
    """The issues by the names of images and classes."""
    return tuple(
        NamedLabelIssue(
            name=names[s.position],
            label=classes[s.label],
            suggested=classes[s.suggested],
            p_label=s.p_label,
            p_suggested=s.p_suggested,
            position=s.position,
        )
        for s in trouble.issues
    )
