"""Prepared images on disk, so that they are decoded once: entries whole or absent, in a folder with a limit.

An entry is a folder named by its fingerprint, with the pixels (`images.u8`, uint8 rows one after another,
memory-mapped when read) and `entry.json`. It is built under a temporary name and renamed when it is complete.
What a killed process left is removed by the next one that builds.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import ConvscopeError, Failure, UserError
from convscope.data.cache_folder import UnusableCache

_PIXELS, _FACTS, _LOCK, _PART = "images.u8", "entry.json", "lock", ".part"

# The entries that this process has mapped: evicting one would only hide the space it still takes.
_in_use: set[Path] = set()


@dataclass(frozen=True)
class Entry:
    """A complete entry: `images`, read-only uint8 N×H×W×C mapped from disk, and facts stored beside them."""

    images: NDArray[np.uint8]
    facts: dict[str, Any]


def load_cached(folder: Path, key: str) -> Entry | None:
    """An entry, whose time becomes now; None where there is none or it is not whole.

    Args:
        folder: holds the entries.
        key: the name of the entry, a fingerprint of all that decides its pixels.
    """
    entry = folder / key
    try:
        facts = json.loads((entry / _FACTS).read_text("utf-8"))
        shape = tuple(facts["shape"])
        # A disk that was full, or a copy that was cut, leaves a shorter file.
        if (entry / _PIXELS).stat().st_size != int(np.prod(shape)):
            return None
        images = np.memmap(entry / _PIXELS, np.uint8, "r", shape=shape)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    _in_use.add(entry)
    with suppress(OSError):  # a shared cache may be read-only; then its owner keeps the order
        os.utime(entry)
    return Entry(images, facts)


def store(
    folder: Path,
    key: str,
    rows: Iterable[NDArray[np.uint8]],
    *,
    need: int,
    limit: int,
    facts: Callable[[], Any],
) -> None:
    """Write an entry row by row; it appears under its key when the last row is on disk, or not at all.

    Args:
        folder: holds the entries; it is made where there is none.
        key: the name of the entry.
        rows: uint8 images H×W×C.
        need: bytes that the rows take at most.
        limit: bytes that all entries may take together; the longest unused make room.
        facts: is called after the last row, for a dictionary with "shape" that JSON can hold.

    Raises:
        UnusableCache: the folder cannot be written.
        UserError: the limit is below `need`.
        Failure: the disk is full.
    """
    if need > limit:
        raise UserError(
            f"the prepared images need {_megabytes(need)} and the cache may hold {_megabytes(limit)}; "
            f"set CONVSCOPE_CACHE_LIMIT_GB to {need / 1e9 + 1:.0f} or more, or prepare smaller images"
        )
    # A random part in the name: two processes may build the same entry at once, and the last one wins.
    part = folder / f"{key}.{uuid4().hex[:8]}{_PART}"
    lock: IO[bytes] | None = None
    try:
        with _turn(folder):
            _make_room(folder, need, limit)
            part.mkdir()
            lock = _locked(part / _LOCK)
        with (part / _PIXELS).open("wb") as file:
            for row in rows:
                file.write(np.ascontiguousarray(row).data)
            file.flush()
            # Before the rename: a power cut must not leave an entry that is named and empty.
            os.fsync(file.fileno())
        (part / _FACTS).write_text(json.dumps(facts()), "utf-8")
        with _turn(folder):
            # A rename onto a folder that is not empty fails.
            shutil.rmtree(folder / key, ignore_errors=True)
            part.rename(folder / key)
    except OSError as error:
        raise _storage_error(folder, need, error) from error
    finally:
        if lock:
            lock.close()
        shutil.rmtree(part, ignore_errors=True)


def _make_room(folder: Path, need: int, limit: int) -> None:
    """Remove the longest unused entries until `need` bytes more fit in `limit`; Failure for a full disk."""
    _remove_abandoned(folder)
    entries = sorted((entry for entry in folder.iterdir() if entry.is_dir()), key=lambda e: e.stat().st_mtime)
    sizes = {entry: sum(file.stat().st_size for file in entry.iterdir()) for entry in entries}
    # Parts of other processes count as well: their space is taken already.
    total = sum(sizes.values())
    for entry, size in sizes.items():
        if total + need <= limit:
            break
        if entry not in _in_use and not entry.name.endswith(_PART):
            shutil.rmtree(entry, ignore_errors=True)
            total -= size
    # Asked now and not when the disk is full: half an hour of decoding would be lost.
    free = shutil.disk_usage(folder).free
    if free < need:
        raise _full(folder, need, free)


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left: the system lets go of their locks."""
    for part in folder.glob(f"*{_PART}"):
        lock = _locked(part / _LOCK)
        if lock:
            lock.close()
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Let one process at a time look at the folder and change it; building itself goes on outside."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = _locked(folder / ".lock", wait=True)
    try:
        yield
    finally:
        if lock:
            lock.close()


def _locked(path: Path, *, wait: bool = False) -> IO[bytes] | None:
    """The file, locked until it is closed or its process ends; None where another process holds it."""
    file = path.open("ab")
    try:
        import fcntl
    except ImportError:  # Windows does not remove files that are open, which protects them as well
        return file
    try:
        # The system lets go of a lock when its process ends, however it ends.
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        return None
    except OSError:  # some network file systems have no locks
        return file
    return file


def _storage_error(folder: Path, need: int, error: OSError) -> ConvscopeError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        with suppress(OSError):
            return _full(folder, need, shutil.disk_usage(folder).free)
    where = "set CONVSCOPE_CACHE to a folder that can be written"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return UnusableCache(f"the cache folder {folder} cannot be written ({error.strerror}); {where}")
    return Failure(f"could not keep the prepared images in {folder}: {error.strerror or error}; {where}")


def _full(folder: Path, need: int, free: int) -> Failure:
    return Failure(
        f"the disk is full: the prepared images need {_megabytes(need)} in {folder}, {_megabytes(free)} are "
        "free; free some space, or set CONVSCOPE_CACHE to a folder on a larger disk"
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
