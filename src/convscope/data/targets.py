"""What a network is to say of the images of a data set, whatever the task is.

A source gives class labels. A task may want something else of the same images, such as the mean colour: its
targets take the place of the labels, while names, bytes, pixels and fingerprint stay, so that the cache of
prepared images, which holds pixels alone, serves every task.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Dataset, EncodedDataset
from convscope.core.errors import UserError
from convscope.data.dataset import ArrayDataset, Subset, image_name
from convscope.data.sources.origin import Source


@dataclass(frozen=True, eq=False)
class Targets:
    """The targets of N images.

    `values`: N×…, what the loss and the evaluation get. `names`: what the outputs of a network stand for,
    such as the K classes. `strata`: int64 N; a stratified split keeps the fraction of each of these numbers.
    """

    values: NDArray[Any]
    names: tuple[str, ...]
    strata: NDArray[np.int64]


def with_targets(dataset: Dataset, targets: Targets) -> Dataset:
    """The same images with other targets; `dataset` itself where the targets are its own labels.

    Args:
        dataset: N images. An ArrayDataset stays one, and an EncodedDataset stays encoded.
        targets: of these N images, in their order.

    Returns:
        A data set whose `labels` are `targets.values` and whose `classes` are `targets.names`.

    Raises:
        UserError: there are not N targets and N strata.

    >>> d = ArrayDataset(np.zeros((2, 8, 8, 3), np.uint8), np.array([0, 1]), ("cat", "dog"))
    >>> colours = Targets(np.zeros((2, 3)), ("red", "green", "blue"), np.zeros(2, np.int64))
    >>> with_targets(d, colours).labels.shape, with_targets(d, Targets(d.labels, d.classes, d.labels)) is d
    ((2, 3), True)
    """
    count = len(dataset)
    if not len(targets.values) == len(targets.strata) == count:
        counts = f"{len(targets.values)} targets and {len(targets.strata)} strata"
        raise UserError(f"{count} images need {count} targets and strata; the task gave {counts}")
    # Classification changes nothing, so its data sets, caches and records stay what they are.
    if _are_own(targets, dataset):
        return dataset
    if isinstance(dataset, ArrayDataset):
        return _ArrayWithTargets(dataset, targets)
    # Two classes, since `encoded` may exist only where it works.
    return (_EncodedWithTargets if isinstance(dataset, EncodedDataset) else _WithTargets)(dataset, targets)


def source_with_targets(source: Source, targets: Callable[[Dataset], Targets]) -> Source:
    """The same source, whose splits open with the targets of a task.

    Args:
        source: where the images come from; nothing of it is opened here.
        targets: the `targets` of a task.
    """

    def opened(split: str) -> Dataset:
        dataset = source.open(split)
        return with_targets(dataset, targets(dataset))

    # A function each: targets of a test split are computed when it is opened, and not before.
    splits = {split: partial(opened, split) for split in source.splits}
    return replace(source, splits=splits, compute_fingerprint=source.fingerprint)


def strata_of(dataset: Dataset) -> NDArray[np.int64]:
    """The strata of N images, int64 N: those of their targets, or else the class labels."""
    if isinstance(dataset, Subset):
        return strata_of(dataset.dataset)[dataset.indices]
    if isinstance(dataset, _WithTargets | _ArrayWithTargets):
        return dataset.targets.strata
    # Class labels are the usual strata: each class keeps its fraction.
    return np.asarray(dataset.labels, np.int64)


def has_class_labels(dataset: Dataset) -> bool:
    """Whether the targets are the class labels that the source gave."""
    if isinstance(dataset, Subset):
        return has_class_labels(dataset.dataset)
    return not isinstance(dataset, _WithTargets | _ArrayWithTargets)


def _are_own(targets: Targets, dataset: Dataset) -> bool:
    labels = np.asarray(dataset.labels)
    same = targets.names == dataset.classes and np.array_equal(targets.values, labels)
    return same and np.array_equal(targets.strata, labels)


class _WithTargets:
    """Images of a data set with other targets."""

    def __init__(self, dataset: Dataset, targets: Targets) -> None:
        self.dataset, self.targets = dataset, targets

    @property
    def classes(self) -> tuple[str, ...]:
        return self.targets.names

    @property
    def labels(self) -> NDArray[Any]:
        return self.targets.values

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Any]:
        return self.dataset[index][0], self.targets.values[index]

    def name(self, index: int) -> str:
        return image_name(self.dataset, index)

    def fingerprint(self) -> str:
        return cast("ArrayDataset", self.dataset).fingerprint()


class _EncodedWithTargets(_WithTargets):
    def encoded(self, index: int) -> bytes:
        return cast("EncodedDataset", self.dataset).encoded(index)


class _ArrayWithTargets(ArrayDataset):
    """An ArrayDataset without its check that labels are class indices."""

    def __init__(self, dataset: ArrayDataset, targets: Targets) -> None:
        # Set past the checks of the parent, which asks for class indices.
        own = {"images": dataset.images, "labels": targets.values, "classes": targets.names}
        for name, value in {**own, "prefix": dataset.prefix, "dataset": dataset, "targets": targets}.items():
            object.__setattr__(self, name, value)

    dataset: ArrayDataset
    targets: Targets

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Any]:
        return self.images[index], self.labels[index]

    def fingerprint(self) -> str:
        """The fingerprint of the images with the labels of their source."""
        return self.dataset.fingerprint()
