"""Pictures that stand under several labels: at least one of these labels is wrong, whatever a network
says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convscope.data.dataset import image_name
from convscope.data.scanning.duplicate_checks import CONFLICT
from convscope.data.scanning.scan_report import ScanReport
from convscope.data.source import Source


@dataclass(frozen=True)
class LabelConflict:
    """One picture under several labels, at least one of which is wrong: the images and the label of each.

    `suggested`: the one of these labels to which the networks give most, on average over the images that they
    answered for, and `p_suggested` what they give to it. `positions`: of the images, None for those of other
    splits.
    """

    names: tuple[str, ...]
    labels: tuple[str, ...]
    suggested: str
    p_suggested: float
    positions: tuple[int | None, ...]


def find_conflicts(
    source: Source, scanned: ScanReport, names: Sequence[str], *, probabilities: NDArray[np.float64]
) -> tuple[LabelConflict, ...]:
    """The pictures that a scan is certain to have found under several labels, where one of them is among
    `names` N.

    `probabilities` N×K: what is answered for these.
    """
    contrary = {entry.name for entry in scanned.quarantine if entry.reason.startswith(CONFLICT)}
    if not contrary:
        return ()
    labels: dict[str, str] = {}
    classes: Sequence[str] = ()
    for split in source.split_names:
        dataset = source.open(split)
        classes = dataset.classes
        every = (image_name(dataset, i) for i in range(len(dataset)))
        labels |= {name: classes[int(dataset.labels[i])] for i, name in enumerate(every) if name in contrary}
    positions = {name: position for position, name in enumerate(names) if name in contrary}
    groups = ([name for name in group if name in contrary] for group in scanned.duplicates)
    return tuple(
        explained_conflict({name: labels[name] for name in group}, positions, probabilities, classes=classes)
        for group in groups
        if any(name in positions for name in group)
    )


def explained_conflict(
    labels: Mapping[str, str],
    positions: Mapping[str, int],
    probabilities: NDArray[np.float64],
    *,
    classes: Sequence[str],
) -> LabelConflict:
    """The conflict of images that show the same, by their names; `positions` of those that are answered for.

    >>> conflict = explained_conflict(
    ...     {"a": "cat", "b": "dog"}, {"a": 0, "b": 1}, np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]),
    ...     classes=["cat", "cow", "dog"],
    ... )
    >>> conflict.labels, conflict.suggested, round(conflict.p_suggested, 2)
    (('cat', 'dog'), 'dog', 0.55)
    """
    places = tuple(positions.get(name) for name in labels)
    mean = probabilities[[place for place in places if place is not None]].mean(axis=0)
    share = {label: float(mean[list(classes).index(label)]) for label in labels.values()}
    best = max(share, key=lambda label: share[label])
    return LabelConflict(tuple(labels), tuple(labels.values()), best, share[best], places)
