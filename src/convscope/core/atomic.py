"""Files that are either the old one or the new one, never half of each.

Everything Convscope writes that a later step reads goes through here: the bytes go to a temporary file beside
the target, are forced to the disk, and take the target's name in one step of the file system.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path
from typing import Any

from convscope.core.errors import ConvscopeError, Failure, UserError


def storage_error(path: Path, error: OSError) -> ConvscopeError:
    """The one line that says what to do when a file could not be written.

    Args:
        path: of the file.
        error: what the system raised.

    Returns:
        A UserError for a folder that may not be written, a Failure for everything else.

    >>> str(storage_error(Path("runs/a"), OSError(errno.ENOSPC, "No space left on device")))[:42]
    'the disk is full: could not write runs/a; '
    """
    # Quotas end like disks.
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Failure(
            f"the disk is full: could not write {path}; what was there before is kept; "
            "free some space or choose another folder with --out"
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return UserError(f"{path} cannot be written (read-only folder); choose another folder with --out")
    return Failure(f"could not write {path}: {error.strerror or error}; what was there before is kept")


def make_folder(path: Path) -> Path:
    """Make `path` and the folders above it; a folder that cannot be made is a one-line error."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    # Raised for a file alone: a folder that is there is fine.
    except FileExistsError:
        raise UserError(f"{path} is a file; a folder is needed there; choose another with --out") from None
    except OSError as error:
        raise storage_error(path, error) from error
    return path


def write_bytes(path: Path, data: bytes) -> None:
    """Replace a file in one step; on any error the file that was there stays as it was.

    Args:
        path: of the file; its folder exists.
        data: all of it.

    Raises:
        UserError: the folder may not be written.
        Failure: the disk is full.
    """
    # Beside the target: a rename is one step only within a file system.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            # Without it a power cut may leave the new name with no bytes behind it.
            os.fsync(file.fileno())
        # Not rename, which fails on Windows where the target is there.
        temporary.replace(path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        # After an error this frees what was written, which counts most on a full disk.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Replace a file by text in one step, as `write_bytes` does.

    A file name whose bytes are no UTF-8 is written as `\udcff`, which JSON reads back as the same name.

    Args:
        path: of the file; its folder exists.
        text: is written as UTF-8.
    """
    # Python keeps such bytes of a file name as lone surrogates (PEP 383), which UTF-8 refuses.
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Replace a file by indented JSON in one step, as `write_bytes` does.

    Args:
        path: of the file; its folder exists.
        value: plain JSON types; NaN is a ValueError.
    """
    # NaN is no JSON: other programs would refuse the whole file.
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
