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
    """The one line that says what to do when `path` could not be written.

    >>> str(storage_error(Path("runs/a"), OSError(errno.ENOSPC, "No space left on device")))[:42]
    'the disk is full: could not write runs/a; '
    """
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
    except FileExistsError:
        raise UserError(f"{path} is a file; a folder is needed there; choose another with --out") from None
    except OSError as error:
        raise storage_error(path, error) from error
    return path


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step; on any error the file that was there stays as it was.

    Raises UserError for a folder that may not be written and Failure for a full disk.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    r"""Replace `path` by `text` (UTF-8) in one step.

    A file name whose bytes are no UTF-8 is written as `\udcff`, which JSON reads back as the same name.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON in one step; NaN is refused, since JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
