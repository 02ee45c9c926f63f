"""Prepared images on disk, so that they are decoded once: entries that are whole or absent, in a folder with
a limit.

An entry is a folder named by its key, with the pixels (`images.u8`, uint8 rows one after another,
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
    """A complete entry: `images`, read-only uint8 N×H×W×C mapped from disk, and the facts stored beside
    them.
    """

    images: NDArray[np.uint8]
    facts: dict[str, Any]


def load_cached(folder: Path, key: str) -> Entry | None:
    """The entry of this key, marked as used now; None where there is none or it is not whole."""
    place = folder / key
    try:
        facts = json.loads((place / _FACTS).read_text("utf-8"))
        shape = tuple(facts["shape"])
        if (place / _PIXELS).stat().st_size != int(np.prod(shape)):
            return None
        images = np.memmap(place / _PIXELS, np.uint8, "r", shape=shape)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    _in_use.add(place)
    with suppress(OSError):  # A shared cache may be read-only; then its owner keeps the order.
        os.utime(place)
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

    `rows` are uint8 images H×W×C; `need` is the number of bytes they take at most; `limit` is how many bytes
    all entries may take together: the longest unused make room. `facts` is called after the last row, for a
    dictionary with "shape" that JSON can hold. Raises UnusableCache where the folder cannot be written,
    UserError where the limit is below `need`, and Failure where the disk is full; nothing half-written stays.
    """
    if need > limit:
        raise UserError(
            f"the prepared images need {_megabytes(need)} and the cache may hold {_megabytes(limit)}; "
            f"set CONVSCOPE_CACHE_LIMIT_GB to {need / 1e9 + 1:.0f} or more, or prepare smaller images"
        )
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
            os.fsync(file.fileno())
        (part / _FACTS).write_text(json.dumps(facts()), "utf-8")
        with _turn(folder):
            shutil.rmtree(folder / key, ignore_errors=True)
            part.rename(folder / key)
    except OSError as error:
        raise _storage_error(folder, need, error) from error
    finally:
        if lock:
            lock.close()
        shutil.rmtree(part, ignore_errors=True)


def _make_room(folder: Path, need: int, limit: int) -> None:
    """Removes what killed processes left, then the longest unused entries until `need` bytes more fit in
    `limit`.
    """
    for part in folder.glob(f"*{_PART}"):
        lock = _locked(part / _LOCK)
        if lock:
            lock.close()
            shutil.rmtree(part, ignore_errors=True)
    entries = sorted(
        ((e.stat().st_mtime, e) for e in folder.iterdir() if e.is_dir()), key=lambda pair: pair[0]
    )
    sizes = {entry: sum(file.stat().st_size for file in entry.iterdir()) for _, entry in entries}
    total = sum(sizes.values())
    for entry, size in sizes.items():
        if total + need <= limit:
            break
        if entry not in _in_use and not entry.name.endswith(_PART):
            shutil.rmtree(entry, ignore_errors=True)
            total -= size
    free = shutil.disk_usage(folder).free
    if free < need:
        raise _full(folder, need, free)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One process at a time looks at the folder and changes it; building itself goes on outside."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = _locked(folder / ".lock", wait=True)
    try:
        yield
    finally:
        if lock:
            lock.close()


def _locked(path: Path, *, wait: bool = False) -> IO[bytes] | None:
    """The file, open and locked until it is closed or its process ends; None where another process holds
    it.
    """
    file = path.open("ab")
    try:
        import fcntl
    except ImportError:  # Windows does not remove files that are open, which protects them as well.
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        file.close()
        return None
    except OSError:  # Some network file systems have no locks.
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
        f"free; "
        "free some space, or set CONVSCOPE_CACHE to a folder on a larger disk"
    )


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
