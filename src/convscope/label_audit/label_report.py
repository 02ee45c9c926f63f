"""The report of a label audit, by name: pictures under several labels, label issues, and an estimate.

A picture under several labels is certain, whatever a network predicts: at least one of its labels is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.spreadsheet import csv_text
from convscope.data.dataset import image_name
from convscope.data.scanning.duplicate_checks import CONFLICT
from convscope.data.scanning.scan_report import ScanReport
from convscope.data.source import Source
from convscope.label_audit.confident_learning import LabelIssue, LabelIssues

HEADER = ("name", "label", "suggested", "p_label", "p_suggested", "conflict")

# What to do about a wrong label, by the kind of source.
ADVICE = {
    "class folders": "move a file into the folder of its class, or out of the data",
    "CSV": "change the label in the table, or take the row out",
}
# The same for arrays and tables of pixels, which nobody edits by hand.
ANEW = "write the data anew, as NPZ, CSV or class folders, without these images or with other labels"


@dataclass(frozen=True)
class LabelConflict:
    """One picture under several labels: the names of its images and the label of each.

    `suggested`: the likeliest of these labels, by the mean probability over the images that were predicted,
    which is `p_suggested`. `positions`: of the images, None for those of other splits.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    suggested: str
    p_suggested: float
    positions: tuple[int | None, ...]


@dataclass(frozen=True)
class NamedLabelIssue:
    """An image by name, its label, the class that is suggested instead, and the probabilities of both.

    `position`: its index among the images.
    """

    name: str
    label: str
    suggested: str
    p_label: float
    p_suggested: float
    position: int


@dataclass(frozen=True, eq=False)
class LabelReport:
    """An audit of the labels of one split. `issues`: most suspicious first, without those of `conflicts`.

    `accuracy`: the fraction of images whose out-of-fold prediction is their label. `evidence`: the figures
    that the issues come from. `kind`: of the source. `origin`: data, settings, hardware and versions, as
    plain values. `folder`: of the files.
    """

    data: str
    kind: str
    split: str
    classes: tuple[str, ...]
    images: int
    accuracy: float
    conflicts: tuple[LabelConflict, ...]
    issues: tuple[NamedLabelIssue, ...]
    evidence: LabelIssues
    origin: Mapping[str, Any]
    folder: Path

    @property
    def wrong_fraction(self) -> float:
        """The estimated fraction of wrong labels among all images."""
        return self.evidence.wrong_fraction

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
            "estimated_wrong_fraction": self.wrong_fraction,
            "conflicts": [asdict(conflict) for conflict in self.conflicts],
            "issues": [asdict(issue) for issue in self.issues],
            "per_class": [
                asdict(row)
                | {
                    "label": self.classes[row.label],
                    "likeliest": None if row.likeliest is None else self.classes[row.likeliest],
                }
                for row in self.evidence.per_class
            ],
            "confident_joint": self.evidence.confident_joint.tolist(),
            "joint": self.evidence.joint.tolist(),
            **self.origin,
        }

    def to_csv(self) -> str:
        """A row an image: those of conflicts first, numbered from 1, then the issues."""
        # Without p_label: of several labels none is the one to compare with.
        conflicts = (
            (name, label, conflict.suggested, None, conflict.p_suggested, number)
            for number, conflict in enumerate(self.conflicts, 1)
            for name, label in zip(conflict.names, conflict.labels, strict=True)
        )
        issues = ((i.name, i.label, i.suggested, i.p_label, i.p_suggested, None) for i in self.issues)
        return csv_text(HEADER, [*conflicts, *issues])


def named_issues(
    issues: Iterable[LabelIssue], names: Sequence[str], classes: Sequence[str]
) -> tuple[NamedLabelIssue, ...]:
    """The issues by the names of images and classes.

    Args:
        issues: in any order, which is kept.
        names: N, of the images.
        classes: K, of the classes.
    """
    return tuple(
        NamedLabelIssue(
            name=names[issue.position],
            label=classes[issue.label],
            suggested=classes[issue.suggested],
            p_label=issue.p_label,
            p_suggested=issue.p_suggested,
            position=issue.position,
        )
        for issue in issues
    )


def find_conflicts(
    source: Source, scanned: ScanReport, names: Sequence[str], *, probabilities: NDArray[np.float64]
) -> tuple[LabelConflict, ...]:
    """The pictures that a scan found under several labels, byte for byte or all but that.

    Args:
        source: the data, all splits.
        scanned: its scan.
        names: N, of the images that were predicted; a conflict without one of them is left out.
        probabilities: N×K.
    """
    contrary = {entry.name for entry in scanned.quarantine if entry.reason.startswith(CONFLICT)}
    # Most data have none, and need not be opened again.
    if not contrary:
        return ()
    labels, classes = _labels_of(source, contrary)
    positions = {name: position for position, name in enumerate(names) if name in contrary}
    conflicts = []
    for group in scanned.duplicates:
        # A group may also hold near duplicates, which no scan is certain of.
        own = {name: labels[name] for name in group if name in contrary}
        if not positions.keys().isdisjoint(own):
            conflicts.append(label_conflict(own, positions, probabilities, classes=classes))
    return tuple(conflicts)


def _labels_of(source: Source, names: set[str]) -> tuple[dict[str, str], Sequence[str]]:
    """The labels of some images, wherever they are, and the classes."""
    labels: dict[str, str] = {}
    classes: Sequence[str] = ()
    # All splits: a copy in the test images can show that a training label is wrong.
    for split in source.split_names:
        dataset = source.open(split)
        classes = dataset.classes
        for i in range(len(dataset)):
            if (name := image_name(dataset, i)) in names:
                labels[name] = classes[int(dataset.labels[i])]
    return labels, classes


def label_conflict(
    labels: Mapping[str, str],
    positions: Mapping[str, int],
    probabilities: NDArray[np.float64],
    *,
    classes: Sequence[str],
) -> LabelConflict:
    """The conflict of images that show the same.

    Args:
        labels: of the images, by name.
        positions: of those that were predicted, by name; at least one.
        probabilities: N×K.
        classes: K.

    >>> conflict = label_conflict(
    ...     {"a": "cat", "b": "dog"}, {"a": 0, "b": 1}, np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]),
    ...     classes=["cat", "cow", "dog"],
    ... )
    >>> conflict.labels, conflict.suggested, round(conflict.p_suggested, 2)
    (('cat', 'dog'), 'dog', 0.55)
    """
    rows = tuple(positions.get(name) for name in labels)
    # Of copies the networks see the same, but not always in the same fold: the mean of both.
    mean = probabilities[[row for row in rows if row is not None]].mean(axis=0)
    # Only the labels that the picture has: a third class would contradict everyone who labelled it.
    probability = {label: float(mean[list(classes).index(label)]) for label in labels.values()}
    best = max(probability, key=lambda label: probability[label])
    return LabelConflict(tuple(labels), tuple(labels.values()), best, probability[best], rows)
