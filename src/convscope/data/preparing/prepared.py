"""A data set as one array of prepared images: in memory if it is an array, else in a memory-mapped cache."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Dataset, EncodedDataset
from convscope.core.errors import Failure, UserError
from convscope.core.run.progress import Progress
from convscope.data.cache_folder import UnusableCache, cache_folder
from convscope.data.dataset import ArrayDataset, image_name
from convscope.data.ordered_parallel_map import ordered_parallel_map
from convscope.data.preparing import pixel_cache
from convscope.data.preparing.decode import explaining
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.targets import strata_of

CACHE_LIMIT_GB = 20.0
"""What all cached images may take together, unless $CONVSCOPE_CACHE_LIMIT_GB says otherwise."""

# A part of every key: raise it when `Preprocess.prepare` gives other pixels for the same settings.
_PIXELS_VERSION = 1

# (index, name, reason) of an image that cannot be decoded.
_Failed: TypeAlias = tuple[int, str, str]


@dataclass(frozen=True, eq=False)
class Prepared:
    """N prepared images with their targets.

    `images`: uint8 N×H×W×C, an array or a read-only memory map. `targets`: N×…. `names`: what a person calls
    each. `kept`: their indices in the data set. `failed`: (name, reason) of those left out because they
    cannot be decoded. `notes`: lines for a person about how they were prepared. `strata`: int64 N; None where
    the targets are class labels, which are their own strata.
    """

    images: NDArray[np.uint8]
    targets: NDArray[Any]
    names: tuple[str, ...]
    kept: NDArray[np.int64]
    failed: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    strata: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.images)


def prepare_dataset(
    dataset: Dataset,
    preprocess: Preprocess,
    *,
    cache: Path | None = None,
    limit_bytes: int | None = None,
    what: str = "decode",
    progress: Progress | None = None,
) -> Prepared:
    """All images of a data set, prepared; an image that cannot be decoded is left out and named in `failed`.

    An ArrayDataset of the right size is used as it is, without a copy; others that are not encoded are
    prepared into memory. Encoded images are decoded once, into a file in the cache, and mapped from there:
    memory does not grow with their number, and the next call decodes nothing. The entry is found by the data
    set's fingerprint and the geometry of `preprocess`, so mean, std and targets may change. Where the default
    folder cannot be written and $CONVSCOPE_CACHE names no other, a temporary file that goes with the process
    takes its place, and `notes` says so.

    Args:
        dataset: at least one image.
        preprocess: size, channels and way to resize.
        cache: the folder to keep prepared images below; `cache_folder()` by default.
        limit_bytes: what all entries may take together (default `CACHE_LIMIT_GB`); the longest unused make
            room.
        what: the kind of work, for `progress`.
        progress: is called after each image that is decoded.

    Raises:
        UserError: no image at all can be read, or the named cache cannot be used.
        Failure: the disk is full.

    >>> d = ArrayDataset(np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 1, 0]), ("cat", "dog"))
    >>> prepare_dataset(d, Preprocess(1, 8, 8)).images is d.images
    True
    >>> prepare_dataset(d, Preprocess(3, 4, 4)).images.shape
    (3, 4, 4, 3)
    """
    if not len(dataset):
        raise UserError("there is no image to prepare; needed: at least one")
    if isinstance(dataset, ArrayDataset) and dataset.images.shape[1:] == preprocess.shape:
        return _described(dataset, dataset.images, [])
    report = partial(progress, what) if progress else None
    if not isinstance(dataset, EncodedDataset):
        return _in_memory(dataset, preprocess, report)
    try:
        return _from_cache(dataset, preprocess, (cache or cache_folder()) / "prepared", limit_bytes, report)
    except UnusableCache as error:
        # A folder that was named must work; a default that does not may be replaced.
        if cache or os.environ.get("CONVSCOPE_CACHE", ""):
            raise
        return _on_temporary_file(dataset, preprocess, str(error), report)


def cache_limit() -> int:
    """Bytes that the cached images may take together, from $CONVSCOPE_CACHE_LIMIT_GB or `CACHE_LIMIT_GB`.

    >>> cache_limit() > 0
    True
    """
    text = os.environ.get("CONVSCOPE_CACHE_LIMIT_GB", "") or str(CACHE_LIMIT_GB)
    try:
        limit = int(float(text) * 1e9)
    except (ValueError, OverflowError):
        raise UserError(
            f"CONVSCOPE_CACHE_LIMIT_GB is {text!r}; allowed: a number of gigabytes, such as 20"
        ) from None
    return max(0, limit)


# `Progress` of one kind of work: what is done, and the total.
_Report: TypeAlias = Callable[[int, int], None] | None


def _from_cache(
    dataset: EncodedDataset, preprocess: Preprocess, folder: Path, limit_bytes: int | None, report: _Report
) -> Prepared:
    key = _key(dataset, preprocess)
    entry = pixel_cache.load_cached(folder, key)
    # Only what failed is tried again: a fingerprint sees size and time, not permissions.
    if entry is None or _readable_now(dataset, preprocess, entry.facts["failed"]):
        limit = cache_limit() if limit_bytes is None else limit_bytes
        _decode_into(folder / key, dataset, preprocess, limit, report)
        entry = pixel_cache.load_cached(folder, key)
    if entry is None:
        raise UserError(f"another process removed the prepared images from {folder}; start again")
    return _described(dataset, entry.images, [tuple(failed) for failed in entry.facts["failed"]])


def _on_temporary_file(
    dataset: EncodedDataset, preprocess: Preprocess, trouble: str, report: _Report
) -> Prepared:
    failed: list[_Failed] = []
    try:
        with tempfile.TemporaryFile() as file:  # it has no name, and is gone when the map is
            for row in _rows(dataset, preprocess, failed, report):
                file.write(np.ascontiguousarray(row).data)
            file.flush()
            shape = (len(dataset) - len(failed), *preprocess.shape)
            # The map holds its own handle to the file, which stays on the disk until the map is gone.
            images = np.memmap(file, np.uint8, "r", shape=shape)
    except OSError as error:
        need = f"{len(dataset) * int(np.prod(preprocess.shape)) / 1e6:,.1f} MB"
        reason = error.strerror or error
        raise Failure(
            f"{trouble}, with {need} free; a temporary file will not do either ({reason})"
        ) from error
    note = f"the images are decoded anew each time: {trouble}"
    return replace(_described(dataset, images, failed), notes=(note,))


def _decode_into(
    entry: Path, dataset: EncodedDataset, preprocess: Preprocess, limit: int, report: _Report
) -> None:
    failed: list[_Failed] = []
    count = len(dataset)

    def facts() -> dict[str, Any]:
        return {"shape": [count - len(failed), *preprocess.shape], "failed": failed}

    rows = _rows(dataset, preprocess, failed, report)
    # At most: images that fail leave the entry smaller.
    need = count * int(np.prod(preprocess.shape))
    pixel_cache.store(entry.parent, entry.name, rows, need=need, limit=limit, facts=facts)


def _in_memory(dataset: Dataset, preprocess: Preprocess, report: _Report) -> Prepared:
    failed: list[_Failed] = []
    # For all, though some may fail: the rows behind the last one are never touched, and cost no memory.
    images = np.empty((len(dataset), *preprocess.shape), np.uint8)
    kept = 0
    for row in _rows(dataset, preprocess, failed, report):
        images[kept] = row
        kept += 1
    return _described(dataset, images[:kept], failed)


def _rows(
    dataset: Dataset, preprocess: Preprocess, failed: list[_Failed], report: _Report
) -> Iterator[NDArray[np.uint8]]:
    """The prepared images in order; those that cannot be are entered in `failed` and passed over."""
    count = len(dataset)
    for index, row in enumerate(ordered_parallel_map(lambda i: _row(dataset, preprocess, i), range(count))):
        if isinstance(row, UserError):
            failed.append((index, image_name(dataset, index), getattr(row, "reason", str(row))))
        else:
            yield row
        if report:
            report(index + 1, count)
    # One line that names a file says more than an empty data set later.
    if len(failed) == count:
        _, name, reason = failed[0]
        raise UserError(f"none of the {count} images can be read; the first, {name}: {reason}")


def _row(dataset: Dataset, preprocess: Preprocess, index: int) -> NDArray[np.uint8] | UserError:
    name = image_name(dataset, index)
    try:
        with explaining(name):
            image = dataset.encoded(index) if isinstance(dataset, EncodedDataset) else dataset[index][0]
            return preprocess.prepare(image, name=name)
    except UserError as error:
        return error


def _readable_now(dataset: EncodedDataset, preprocess: Preprocess, failed: list[_Failed]) -> bool:
    """Whether a failed image can be read after all: a permission can change while size and time stay."""
    return any(not isinstance(_row(dataset, preprocess, index), UserError) for index, _, _ in failed)


def _described(dataset: Dataset, images: NDArray[np.uint8], failed: list[_Failed]) -> Prepared:
    kept = np.delete(np.arange(len(dataset)), [index for index, _, _ in failed])
    return Prepared(
        images=images,
        targets=np.asarray(dataset.labels)[kept],
        names=tuple(image_name(dataset, int(index)) for index in kept),
        kept=kept,
        failed=tuple((name, reason) for _, name, reason in failed),
        strata=strata_of(dataset)[kept],
    )


def _key(dataset: EncodedDataset, preprocess: Preprocess) -> str:
    fingerprint = getattr(dataset, "fingerprint", None)
    # A data set of a person's own may have no fingerprint; reading all its bytes is slow and right.
    content = fingerprint() if callable(fingerprint) else _hash_of_contents(dataset)
    settings = json.dumps([_PIXELS_VERSION, content, preprocess.geometry()], sort_keys=True)
    return hashlib.sha256(settings.encode()).hexdigest()


def _hash_of_contents(dataset: EncodedDataset) -> str:
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        try:
            content = dataset.encoded(index)
        except OSError:  # an image that is missing counts as an empty one
            content = b""
        digest.update(f"{dataset.name(index)}\0{len(content)}\0".encode("utf-8", "surrogateescape") + content)
    return digest.hexdigest()
