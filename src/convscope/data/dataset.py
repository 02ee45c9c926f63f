"""The data sets that sources open: images in an array, in files, or encoded in the cells of a table; and a
part of one.

All satisfy the Dataset contract of `core/contracts.py`. Beyond it each has `name(i)`, what a person calls an
image, unique within its source, and `fingerprint()`, a SHA-256 that changes when the images may have changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Dataset, EncodedDataset
from convscope.core.errors import UserError
from convscope.data.preparing.decode import decode, read_bytes


def checked_labels(labels: Any, classes: Sequence[str], count: int) -> NDArray[np.int64]:
    """The labels as int64 of length `count`, each an index into `classes`; else a UserError says which is
    not.

    >>> checked_labels([0, 1, 1], ("cat", "dog"), 3)
    array([0, 1, 1])
    """
    found = np.asarray(labels)
    if found.shape != (count,) or (count and found.dtype.kind not in "iu"):
        raise UserError(
            f"{count} images need {count} whole-number labels; got {found.dtype} of shape {found.shape}"
        )
    wrong = np.flatnonzero((found < 0) | (found >= len(classes)))
    if wrong.size:
        raise UserError(
            f"label {found[wrong[0]]} (image {wrong[0]}) is not one of the {len(classes)} classes; "
            f"allowed: 0 to {len(classes) - 1}; {wrong.size} of {count} labels are out of range"
        )
    return found.astype(np.int64, copy=False)


def hash_of_stats(paths: Iterable[Path], names: Iterable[str]) -> str:
    """SHA-256 over the name, size in bytes and modification time in nanoseconds of each file; a missing one
    counts -1.

    >>> len(hash_of_stats([], []))
    64
    """
    digest = hashlib.sha256()
    for path, name in zip(paths, names, strict=True):
        try:
            stat = path.stat()
            size, time = stat.st_size, stat.st_mtime_ns
        except OSError:
            size = time = -1
        digest.update(f"{name}\0{size}\0{time}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class ArrayDataset:
    """Images of one size in memory: uint8 N×H×W×C, labels N, names `prefix#i`. Wrong shapes are a UserError.

    >>> d = ArrayDataset(np.zeros((2, 28, 28, 1), np.uint8), np.array([0, 1]), ("cat", "dog"), "train")
    >>> len(d), d[1][0].shape, d[1][1], d.name(1)
    (2, (28, 28, 1), 1, 'train#1')
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    prefix: str = "image"

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != np.uint8:
            raise UserError(
                f"images must be uint8 N×H×W×C; got {self.images.dtype} of shape {self.images.shape}"
            )
        object.__setattr__(self, "labels", checked_labels(self.labels, self.classes, len(self.images)))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        return self.images[index], int(self.labels[index])

    def name(self, index: int) -> str:
        """`prefix#index`, where the prefix is the split."""
        return f"{self.prefix}#{index}"

    def fingerprint(self) -> str:
        """SHA-256 over pixels and labels."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


class _Decoded:
    """What data sets of encoded images share: an image is decoded, to RGB, when it is asked for."""

    labels: NDArray[np.int64]

    def encoded(self, index: int) -> bytes:
        raise NotImplementedError

    def name(self, index: int) -> str:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        return decode(self.encoded(index), 3, name=self.name(index)), int(self.labels[index])


@dataclass(frozen=True, eq=False)
class FileDataset(_Decoded):
    """Images in files. `paths` are relative to `root` (or absolute) and, in posix form, are the names as
    well.
    """

    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    root: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", checked_labels(self.labels, self.classes, len(self.paths)))

    def path(self, index: int) -> Path:
        """Where the file of one image lies."""
        return self.root / self.paths[index]

    def encoded(self, index: int) -> bytes:
        """The bytes of one file; an UnreadableImage where it is gone or closed to us."""
        return read_bytes(self.path(index))

    def name(self, index: int) -> str:
        """The path of one image, relative to the root of its source."""
        return self.paths[index]

    def fingerprint(self) -> str:
        """SHA-256 over the names, sizes and times of the files; none is opened."""
        return hash_of_stats((self.root / path for path in self.paths), self.paths)


@dataclass(frozen=True, eq=False)
class CellDataset(_Decoded):
    """Encoded images in the cells of a table: `cell(row)` gives the bytes, `row_name(row)` the name of a
    table row.

    `rows` are the table's rows that belong to this data set; `mark()` is a hash of the table.
    """

    cell: Callable[[int], bytes]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    row_name: Callable[[int], str]
    mark: Callable[[], str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", checked_labels(self.labels, self.classes, len(self.rows)))

    def encoded(self, index: int) -> bytes:
        """The bytes in the cell of one image; empty where the cell is."""
        return self.cell(int(self.rows[index]))

    def name(self, index: int) -> str:
        """The name that the table gives, or `file.parquet#row`."""
        return self.row_name(int(self.rows[index]))

    def fingerprint(self) -> str:
        """SHA-256 over the table's mark, taken at the first call, and the rows."""
        return hashlib.sha256(self._mark.encode() + np.ascontiguousarray(self.rows).tobytes()).hexdigest()

    @cached_property
    def _mark(self) -> str:
        return self.mark()


@dataclass(frozen=True, eq=False)
class Subset:
    """The images of `dataset` at `indices`, in that order. A subset of encoded images is itself an
    EncodedDataset.

    >>> whole = ArrayDataset(np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 1, 0]), ("cat", "dog"), "train")
    >>> part = Subset(whole, np.array([2, 1]))
    >>> len(part), part.labels, part.name(0)
    (2, array([0, 1]), 'train#2')
    """

    dataset: Dataset
    indices: NDArray[np.int64]

    def __new__(cls, dataset: Dataset | None = None, *_: object, **__: object) -> Subset:
        """An EncodedSubset where `dataset` is encoded, so that `encoded` exists exactly where it works."""
        encoded = cls is Subset and isinstance(dataset, EncodedDataset)
        return object.__new__(EncodedSubset if encoded else cls)

    def __post_init__(self) -> None:
        indices = np.asarray(self.indices, np.int64).reshape(-1)
        if indices.size and (indices.min() < 0 or indices.max() >= len(self.dataset)):
            raise UserError(
                f"indices {indices.min()} to {indices.max()} reach outside 0 to {len(self.dataset) - 1}"
            )
        object.__setattr__(self, "indices", indices)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the whole, whether or not each occurs here."""
        return self.dataset.classes

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The targets at the indices."""
        return cast("NDArray[np.int64]", np.asarray(self.dataset.labels)[self.indices])

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Any]:
        return self.dataset[int(self.indices[index])]

    def name(self, index: int) -> str:
        """The name of the image in the whole."""
        return image_name(self.dataset, int(self.indices[index]))

    def fingerprint(self) -> str:
        """SHA-256 over the whole's fingerprint and the indices."""
        whole = cast("ArrayDataset", self.dataset).fingerprint()
        return hashlib.sha256(whole.encode() + self.indices.tobytes()).hexdigest()


class EncodedSubset(Subset):
    """The Subset of an EncodedDataset; `Subset(...)` makes one by itself."""

    def encoded(self, index: int) -> bytes:
        """The bytes of one image as they are stored."""
        return cast("EncodedDataset", self.dataset).encoded(int(self.indices[index]))


def image_name(dataset: Dataset, index: int) -> str:
    """What a person calls an image of any Dataset: its own name for it, else `#index`.

    >>> image_name(ArrayDataset(np.zeros((1, 8, 8, 1), np.uint8), np.array([0]), ("cat",), "test"), 0)
    'test#0'
    """
    name = getattr(dataset, "name", None)
    return str(name(index)) if callable(name) else f"#{index}"
