"""The images of a split as rows of a larger array of prepared images, so that none is ever copied or decoded
twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Dataset, Progress
from convscope.data.dataset import Subset, image_name
from convscope.data.preparing.prepared import Prepared, prepare_dataset
from convscope.data.preparing.preprocess import Preprocess


@dataclass(frozen=True, eq=False)
class PreparedSplit:
    """`rows` (n indices) of prepared images; `failed` are (name, reason) of this part's images that cannot be
    read.
    """

    whole: Prepared
    rows: NDArray[np.int64]
    failed: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def targets(self) -> NDArray[Any]:
        """What a network is to say of each of the n images, n×…; class indices int64 n for classification."""
        return self.whole.targets[self.rows]

    @property
    def names(self) -> list[str]:
        """What a person calls each of the n images."""
        return [self.whole.names[row] for row in self.rows]

    def take(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """A copy of the images at `positions` of this part, uint8 N×H×W×C."""
        return self.whole.images[self.rows[positions]]

    def subsample(self, count: int) -> PreparedSplit:
        """At most `count` of the images, evenly spread."""
        return replace(self, rows=self.rows[evenly_spaced(len(self), count)])

    def batches(self, size: int) -> Iterator[NDArray[np.uint8]]:
        """All images in order, `size` at a time, uint8 N×H×W×C."""
        for start in range(0, len(self), size):
            yield self.whole.images[self.rows[start : start + size]]

    def relabelled(self, places: NDArray[np.int64]) -> PreparedSplit:
        """The same images, where label k is now `places[k]`: other data sets count the same classes
        otherwise.
        """
        return replace(self, whole=replace(self.whole, targets=places[self.whole.targets]))


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """At most so many positions among `count`, evenly spread: data that lie class by class are all there.

    >>> evenly_spaced(10, 4).tolist(), evenly_spaced(2, 4).tolist()
    ([0, 3, 6, 9], [0, 1])
    """
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def prepare_split(
    dataset: Dataset, preprocess: Preprocess, *, cache: Path | None = None, progress: Progress | None = None
) -> PreparedSplit:
    """A split, prepared. Parts of one data set share its array: a Subset prepares the whole it is taken from.

    >>> from convscope.data.dataset import ArrayDataset
    >>> whole = ArrayDataset(np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 1, 0]), ("cat", "dog"))
    >>> part = prepare_split(Subset(whole, np.array([2, 1])), Preprocess(1, 8, 8))
    >>> part.targets.tolist(), part.whole.images is whole.images
    ([0, 1], True)
    """
    prepared, rows = _placed(dataset, preprocess, cache, progress)
    reasons = dict(prepared.failed)
    failed = [image_name(dataset, int(index)) for index in np.flatnonzero(rows < 0)]
    return PreparedSplit(prepared, rows[rows >= 0], tuple((name, reasons[name]) for name in failed))


def _placed(
    dataset: Dataset, preprocess: Preprocess, cache: Path | None, progress: Progress | None
) -> tuple[Prepared, NDArray[np.int64]]:
    """The array that a data set is taken from, and the row of each of its images there, -1 for one
    without.
    """
    if isinstance(dataset, Subset):
        prepared, rows = _placed(dataset.dataset, preprocess, cache, progress)
        return prepared, rows[dataset.indices]
    prepared = prepare_dataset(dataset, preprocess, cache=cache, progress=progress)
    rows = np.full(len(dataset), -1)
    rows[prepared.kept] = np.arange(len(prepared))
    return prepared, rows
