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
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.settings import differences

CONFIG_FILE = "config.json"
ARTIFACTS = Path("artifacts")


def run_name(*parts: str) -> str:
    """A folder's name from its parts (engine, model and data for a run), without what a file system minds.

    >>> run_name("torch", "small_cnn", "My photos!")
    'torch_small_cnn_My_photos'
    """
    # Letters of any script stay; what is left of a name of signs alone is "unnamed".
    # A dot in front would hide the folder, and Windows drops one at the end.
    return "_".join(re.sub(r"[^\w.-]+", "_", part).strip("_.") or "unnamed" for part in parts)


def new_folder(base: Path) -> Path:
    """Make `base`, or the first of `base-2`, `base-3`, … that is not there yet; an empty one is taken.

    UserError where a file is in the way.
    """
    if base.is_file():
        raise UserError(f"{base} is a file; a run needs a folder: choose another with --out")
    # mkdir is the test: of two runs that start together only one makes the folder.
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

    # The folder itself is locked: no lock file is left behind after a kill.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            # Without LOCK_NB a second process would wait for hours and say nothing.
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
    # Ctrl-C counts, too, and is no Exception.
    except BaseException:
        with suppress(OSError):
            # Files only: a run that is being made ready has no folders in it.
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
        raise


def runs_of(base: Path, file: str = CONFIG_FILE) -> list[Path]:
    """The folders `base`, `base-2`, … that hold a run, newest (highest number) first.

    Args:
        base: the first of them.
        file: what a folder has to hold to count.
    """
    pattern = re.compile(re.escape(base.name) + r"(?:-(\d+))?")
    numbered = []
    for folder in base.parent.glob("*") if base.parent.is_dir() else []:
        # Of a base a, a-2 is in the series; a-2b and a-old are not.
        match = pattern.fullmatch(folder.name)
        if match and (folder / file).is_file():
            numbered.append((int(match[1] or 1), folder))
    # By number: as text, a-9 would be newer than a-10.
    return [folder for _, folder in sorted(numbered, reverse=True)]


def resumable(base: Path, config: RunConfig, *, series: bool = False) -> Path | None:
    """The newest run of `base` with this very configuration; None when `base` holds no run at all.

    Args:
        base: the first folder of this name.
        config: of the run to resume.
        series: a run that differs in the seed alone is another of the series, and counts as none.

    Raises:
        UserError: there are runs and none of them matches; it names the keys that differ.
    """
    newest: dict[str, tuple[Any, Any]] | None = None
    for folder in runs_of(base):
        # By settings and not by name: base-2 may be a run of another epoch count.
        changed = differences(read_config(folder), config)
        if not changed:
            return folder
        # Runs of other seeds lie beside each other under the same name.
        if not (series and changed.keys() == {"seed"}):
            newest = newest or changed
    if newest is None:
        return None
    # Three keys say enough; a recipe may differ in twenty.
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
    """Write down what the run was started with.

    Args:
        folder: of the run; it exists.
        config: is written as JSON.
    """
    write_json(folder / CONFIG_FILE, config.to_dict())
