"""The images of a split as rows of a larger array of prepared images: none is copied or decoded twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.core.run.progress import Progress
from convscope.data.dataset import Subset, image_name
from convscope.data.preparing.prepared import Prepared, prepare_dataset
from convscope.data.preparing.preprocess import Preprocess

STD_FLOOR = 1 / 255
"""The smallest standard deviation reported, one level of 256: a constant channel must not divide by zero."""

_CHUNK_BYTES = 8_000_000


@dataclass(frozen=True, eq=False)
class PreparedSplit:
    """n prepared images: `rows` of `whole`; `failed` are (name, reason) of those that cannot be read."""

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
    def strata(self) -> NDArray[np.int64]:
        """What a stratified sample of the n images keeps the fractions of, int64 n."""
        whole = self.whole.targets if self.whole.strata is None else self.whole.strata
        return whole[self.rows]

    @property
    def names(self) -> list[str]:
        """What a person calls each of the n images."""
        return [self.whole.names[row] for row in self.rows]

    def take(self, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """A copy of the images at `positions` of this split, uint8 N×H×W×C."""
        return self.whole.images[self.rows[positions]]

    def subsample(self, count: int) -> PreparedSplit:
        """At most `count` of the images, evenly spaced."""
        return replace(self, rows=self.rows[evenly_spaced(len(self), count)])

    def batches(self, size: int) -> Iterator[NDArray[np.uint8]]:
        """All images in order, `size` at a time, uint8 N×H×W×C."""
        for start in range(0, len(self), size):
            yield self.whole.images[self.rows[start : start + size]]

    def relabelled(self, indices: NDArray[np.int64]) -> PreparedSplit:
        """The same images, label k now `indices[k]`: other data may order the same classes otherwise."""
        targets = indices[self.whole.targets]
        return replace(self, whole=replace(self.whole, targets=targets, strata=targets))


def evenly_spaced(count: int, most: int) -> NDArray[np.int64]:
    """Positions evenly spaced among `count`: of data that lie class by class, all classes are among them.

    Args:
        count: how many there are.
        most: how many positions at most.

    Returns:
        int64, ascending, from 0 to `count` − 1.

    >>> evenly_spaced(10, 4).tolist(), evenly_spaced(2, 4).tolist()
    ([0, 3, 6, 9], [0, 1])
    """
    # The first images of a class folder are all of one class.
    return np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)


def prepare_split(
    dataset: Dataset,
    preprocess: Preprocess,
    *,
    cache: Path | None = None,
    what: str = "decode",
    progress: Progress | None = None,
) -> PreparedSplit:
    """A split, prepared. Subsets of one data set share its array: the whole they are taken from is prepared.

    Args:
        dataset: the images of the split.
        preprocess: size, channels and way to resize.
        cache: as for `prepare_dataset`, and so are `what` and `progress`, and the errors.
        what: the kind of work, for `progress`.
        progress: is called after each image that is decoded.

    >>> from convscope.data.dataset import ArrayDataset
    >>> whole = ArrayDataset(np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 1, 0]), ("cat", "dog"))
    >>> part = prepare_split(Subset(whole, np.array([2, 1])), Preprocess(1, 8, 8))
    >>> part.targets.tolist(), part.whole.images is whole.images
    ([0, 1], True)
    """
    prepare = partial(prepare_dataset, preprocess=preprocess, cache=cache, what=what, progress=progress)
    prepared, rows = _located(dataset, prepare)
    reasons = dict(prepared.failed)
    # Of this split alone: the whole may have failures in other splits.
    failed = [image_name(dataset, int(index)) for index in np.flatnonzero(rows < 0)]
    return PreparedSplit(prepared, rows[rows >= 0], tuple((name, reasons[name]) for name in failed))


def _located(dataset: Dataset, prepare: partial[Prepared]) -> tuple[Prepared, NDArray[np.int64]]:
    """The array that a data set is taken from, and the row of each of its images there, −1 for none."""
    # Down to the whole: three splits of a folder are decoded into one entry of the cache.
    if isinstance(dataset, Subset):
        prepared, rows = _located(dataset.dataset, prepare)
        return prepared, rows[dataset.indices]
    prepared = prepare(dataset)
    rows = np.full(len(dataset), -1)
    rows[prepared.kept] = np.arange(len(prepared))
    return prepared, rows


def channel_statistics(
    images: NDArray[np.uint8], *, indices: NDArray[np.int64] | None = None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation of each channel, exact whatever the number of images.

        mean = Σ x / n,   std = √(Σ x² / n − mean²),   std at least `STD_FLOOR`

    The sums are taken over a histogram in whole numbers, so that they are exact, and a chunk of images at a
    time, so that a memory-mapped array stays on disk.

    Args:
        images: uint8 N×H×W×C.
        indices: the images that count, such as the training split; all by default.

    Returns:
        (mean, std), C numbers each, on the scale 0..1.

    Raises:
        UserError: there is no pixel.

    >>> channel_statistics(np.array([[[[0], [255]]]], np.uint8))
    ((0.5,), (0.5,))
    """
    chosen = np.arange(len(images)) if indices is None else np.sort(indices)
    if images.ndim != 4 or not len(chosen) or not images.size:
        raise UserError(
            f"no statistics of {len(chosen)} images in an array of shape {images.shape}; needed: N×H×W×C"
        )
    step = max(1, _CHUNK_BYTES // int(np.prod(images.shape[1:])))
    counts = np.zeros((images.shape[3], 256), np.int64)
    for start in range(0, len(chosen), step):
        rows = chosen[start : start + step]
        # A slice of a memory map copies nothing, where a list of rows does.
        unbroken = bool((np.diff(rows) == 1).all())
        block = images[rows[0] : rows[-1] + 1] if unbroken else images[rows]
        for channel in range(images.shape[3]):
            # At most 256 levels: exact sums in whole numbers cost no more than a float mean.
            counts[channel] += np.bincount(block[..., channel].ravel(), minlength=256)
    means, stds = zip(*(_moments([int(n) for n in histogram]) for histogram in counts), strict=True)
    return means, stds


def _moments(histogram: list[int]) -> tuple[float, float]:
    n = sum(histogram)
    total = sum(level * count for level, count in enumerate(histogram))
    squares = sum(level * level * count for level, count in enumerate(histogram))
    # Python's whole numbers do not overflow; in float64 n·Σx² would lose digits at ImageNet's size.
    variance = (n * squares - total * total) / (n * n)
    return total / n / 255, max(float(np.sqrt(variance)) / 255, STD_FLOOR)
