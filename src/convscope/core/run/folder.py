"""Where a run lives: `artifacts/<engine>_<model>_<data>/`, never over another run."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from convscope.core.atomic import make_folder, write_json
from convscope.core.config import RunConfig, differences
from convscope.core.errors import UserError

CONFIG_FILE = "config.json"
ARTIFACTS = Path("artifacts")


def run_name(*words: str) -> str:
    """A folder's name from its words, engine, model and data for a run, with nothing in it that a file system
    minds.

    >>> run_name("torch", "small_cnn", "My photos!")
    'torch_small_cnn_My_photos'
    """
    return "_".join(re.sub(r"[^\w.-]+", "_", word).strip("_.") or "unnamed" for word in words)


def new_folder(base: Path) -> Path:
    """Make and return `base`, or the first of `base-2`, `base-3`, … that does not exist yet; an empty one is
    taken.

    UserError where a file is in the way.
    """
    if base.is_file():
        raise UserError(f"{base} is a file; a run needs a folder: choose another with --out")
    number, folder = 1, base
    make_folder(base.parent)
    while True:
        try:
            folder.mkdir()
        except FileExistsError:
            if folder.is_dir() and not any(folder.iterdir()):
                return folder
            number += 1
            folder = base.with_name(f"{base.name}-{number}")
        except OSError:
            return make_folder(folder)  # says why it cannot be made
        else:
            return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run for this process alone; UserError where another one trains in it.

    The system lets go of it after a kill. Where folders cannot be locked (on Windows), nobody watches.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another process trains in {folder}; wait for it, or give another folder with --out"
            ) from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def gone_unless_begun(folder: Path) -> Iterator[None]:
    """While a new run is made ready: whatever goes wrong, no folder without a run in it is left behind."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        raise


def runs_of(base: Path, file: str = CONFIG_FILE) -> list[Path]:
    """The folders `base`, `base-2`, … that hold a run, or any `file`, newest (highest number) first."""
    pattern = re.compile(re.escape(base.name) + r"(?:-(\d+))?")
    found = []
    for folder in base.parent.glob("*") if base.parent.is_dir() else []:
        match = pattern.fullmatch(folder.name)
        if match and (folder / file).is_file():
            found.append((int(match[1] or 1), folder))
    return [folder for _, folder in sorted(found, reverse=True)]


def resumable(base: Path, config: RunConfig, *, series: bool = False) -> Path | None:
    """The newest run of `base` with this very configuration; None when `base` holds no run at all.

    `series`: a run that differs in the seed alone is another of the series, and counts as none. Raises
    UserError, naming the keys that differ, when there are runs and none of them matches.
    """
    newest: dict[str, tuple[Any, Any]] | None = None
    for folder in runs_of(base):
        changed = differences(read_config(folder), config)
        if not changed:
            return folder
        if not (series and changed.keys() == {"seed"}):
            newest = newest or changed
    if newest is None:
        return None
    what = ", ".join(f"{key} was {old!r} and is now {new!r}" for key, (old, new) in list(newest.items())[:3])
    raise UserError(
        f"{runs_of(base)[0]} was started with other settings: {what}; "
        "give the same words, or leave out --resume for a new run"
    )


def read_config(folder: Path) -> RunConfig:
    """The configuration that a run folder was started with."""
    path = folder / CONFIG_FILE
    try:
        return RunConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); is {folder} a run folder?") from None


def write_config(folder: Path, config: RunConfig) -> None:
    """Write down what the run was started with."""
    write_json(folder / CONFIG_FILE, config.to_dict())
