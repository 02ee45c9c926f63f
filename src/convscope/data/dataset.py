"""The data sets that sources open: images in an array, in files, or encoded in the cells of a table.

All satisfy the Dataset contract of `core/contracts.py`. Beyond it each has `name(i)`, what a person calls an
image, unique within its source, and `fingerprint()`, a SHA-256 that changes when the images may have changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Dataset, EncodedDataset
from convscope.core.errors import UserError
from convscope.data.class_labels import checked_labels
from convscope.data.preparing.decode import decode, read_bytes


def hash_of_stats(paths: Iterable[Path], names: Iterable[str]) -> str:
    """SHA-256 over the name, size and modification time of each file; no file is opened.

    Args:
        paths: where the files lie; a missing one counts with size and time −1.
        names: what each is called, which counts as well; as many.

    Returns:
        64 hexadecimal digits.

    >>> len(hash_of_stats([], []))
    64
    """
    digest = hashlib.sha256()
    for path, name in zip(paths, names, strict=True):
        try:
            stat = path.stat()
            size, time = stat.st_size, stat.st_mtime_ns
        except OSError:
            # Missing files count: one that comes back changes the fingerprint, and so the cached scan.
            size = time = -1
        # A file name may be bytes that are no UTF-8; surrogateescape gives those bytes back.
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
    labels: NDArray[Any]
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

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Any]:
        return self.images[index], int(self.labels[index])

    def name(self, index: int) -> str:
        """`prefix#index`, where the prefix is the split."""
        return f"{self.prefix}#{index}"

    def fingerprint(self) -> str:
        """SHA-256 over pixels and labels."""
        # The shape goes in first: 2×6 and 3×4 pixels may hold the same bytes.
        digest = hashlib.sha256(str(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


class _Decoded:
    """What data sets of encoded images share: an image is decoded, to RGB, on demand."""

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
    """Images in files. `paths` are relative to `root` (or absolute) and, in posix form, the names as well."""

    paths: tuple[str, ...]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    root: Path = field(default_factory=Path)

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", checked_labels(self.labels, self.classes, len(self.paths)))

    # Joining with an absolute path gives that path: tables may name files wherever they lie.
    def path(self, index: int) -> Path:
        """Where the file of one image lies."""
        return self.root / self.paths[index]

    def encoded(self, index: int) -> bytes:
        """The bytes of one file; an UnreadableImage where it is missing or may not be read."""
        return read_bytes(self.path(index))

    def name(self, index: int) -> str:
        """The path of one image, relative to the root of its source."""
        return self.paths[index]

    def fingerprint(self) -> str:
        """SHA-256 over the names, sizes and times of the files; none is opened."""
        return hash_of_stats((self.root / path for path in self.paths), self.paths)


@dataclass(frozen=True, eq=False)
class CellDataset(_Decoded):
    """Encoded images in the cells of a table.

    `cell(row)` gives the bytes and `row_name(row)` the name of a table row; `rows` are the table's rows that
    belong to this data set; `table_fingerprint()` is a hash of the table.
    """

    cell: Callable[[int], bytes]
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    row_name: Callable[[int], str]
    table_fingerprint: Callable[[], str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", checked_labels(self.labels, self.classes, len(self.rows)))

    def encoded(self, index: int) -> bytes:
        """The bytes in the cell of one image; empty where the cell is."""
        return self.cell(int(self.rows[index]))

    def name(self, index: int) -> str:
        """The name that the table gives, or `file.parquet#row`."""
        return self.row_name(int(self.rows[index]))

    def fingerprint(self) -> str:
        """SHA-256 over the table's fingerprint, taken at the first call, and the rows."""
        # Two splits of one table differ in their rows alone.
        rows = np.ascontiguousarray(self.rows).tobytes()
        return hashlib.sha256(self._table_fingerprint.encode() + rows).hexdigest()

    @cached_property
    def _table_fingerprint(self) -> str:
        return self.table_fingerprint()


@dataclass(frozen=True, eq=False)
class Subset:
    """The images of `dataset` at `indices`, in that order. A subset of encoded images is encoded itself.

    >>> whole = ArrayDataset(np.zeros((3, 8, 8, 3), np.uint8), np.array([0, 1, 0]), ("cat", "dog"), "train")
    >>> part = Subset(whole, np.array([2, 1]))
    >>> len(part), part.labels, part.name(0)
    (2, array([0, 1]), 'train#2')
    """

    dataset: Dataset
    indices: NDArray[np.int64]

    def __new__(cls, dataset: Dataset | None = None, *_: object, **__: object) -> Subset:
        """An EncodedSubset where `dataset` is encoded, so that `encoded` exists exactly where it works."""
        # `isinstance(x, EncodedDataset)` asks only whether the method is there, so a plain subset must not
        # have it.
        encoded = cls is Subset and isinstance(dataset, EncodedDataset)
        return object.__new__(EncodedSubset if encoded else cls)

    def __post_init__(self) -> None:
        indices = np.asarray(self.indices, np.int64).reshape(-1)
        if indices.size and (indices.min() < 0 or indices.max() >= len(self.dataset)):
            raise UserError(
                f"indices {indices.min()} to {indices.max()} reach outside 0 to {len(self.dataset) - 1}"
            )
        # Frozen data classes set their own fields in this way: the checked array replaces what was handed in.
        object.__setattr__(self, "indices", indices)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the whole, whether or not each class occurs here."""
        return self.dataset.classes

    @cached_property
    def labels(self) -> NDArray[Any]:
        """The targets at the indices."""
        # Cached: each gather copies as many numbers as there are images.
        labels: NDArray[Any] = np.asarray(self.dataset.labels)
        return labels[self.indices]

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

    Args:
        dataset: with or without a `name(i)`.
        index: 0 to N − 1.

    >>> image_name(ArrayDataset(np.zeros((1, 8, 8, 1), np.uint8), np.array([0]), ("cat",), "test"), 0)
    'test#0'
    """
    # The contract asks for no name: a data set of a person's own may have images only.
    name = getattr(dataset, "name", None)
    return str(name(index)) if callable(name) else f"#{index}"
