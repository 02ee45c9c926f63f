"""The image files below a folder, in one order on every machine, and what else lay there."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from convscope.core.errors import UserError

IMAGE_ENDINGS = frozenset(
    {
        *{
            ".jpg",
            ".jpeg",
            ".jpe",
            ".jfif",
            ".jp2",
            ".png",
            ".webp",
            ".avif",
            ".gif",
            ".bmp",
            ".tif",
            ".tiff",
        },
        *{".ppm", ".pgm", ".pbm", ".pnm"},
    }
)
_SYSTEM_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir"})


@dataclass
class Leftovers:
    """What a walk passed over: hidden names, files that are no images, folders that could not be listed, and
    loops.
    """

    hidden: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)

    def add(self, other: Leftovers) -> None:
        """Put in what another walk passed over."""
        self.hidden += other.hidden
        self.others += other.others
        self.closed += other.closed
        self.loops += other.loops

    def notes(self) -> Iterator[str]:
        """One line for each kind."""
        for found, what in (
            (self.hidden, "hidden or system files and folders were ignored"),
            (self.others, "files are no images, by status or kind, and were ignored"),
            (self.closed, "folders could not be listed and were left out"),
            (self.loops, "links lead to a folder that is read anyway, or above it, and were not followed"),
        ):
            if found:
                yield f"{len(found)} {what}: {shortened(sorted(found))}"


def shortened(names: list[str], limit: int = 3) -> str:
    """The first names, and that there are more.

    >>> shortened(["a", "b", "c", "d", "e"])
    'a, b, c, …'
    """
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")


def is_hidden(name: str) -> bool:
    """Whether a name is hidden (.ipynb_checkpoints, .DS_Store) or an operating system's own (__MACOSX,
    Thumbs.db).

    >>> is_hidden(".DS_Store"), is_hidden("cats")
    (True, False)
    """
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def is_image(name: str) -> bool:
    """Whether a file is an image by its status, in any case.

    >>> is_image("a.JPG"), is_image("a.txt")
    (True, False)
    """
    return os.path.splitext(name)[1].lower() in IMAGE_ENDINGS  # noqa: PTH122, called once a file, Path costs 10 ×


def list_folder(folder: Path, left: Leftovers) -> tuple[list[str], list[str]]:
    """(folders, images) directly in a folder, by name and sorted; the rest goes to `left`."""
    folders, images = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_hidden(entry.name):
                    left.hidden.append(entry.name)
                elif _is_folder(entry):
                    folders.append(entry.name)
                elif is_image(entry.name) and _is_file(entry):
                    images.append(entry.name)
                else:
                    left.others.append(entry.name)
    except OSError as error:
        raise UserError(f"{folder} cannot be listed: {error.strerror or error}") from None
    return sorted(folders), sorted(images)


def walk_images(folder: Path, left: Leftovers) -> list[str]:
    """Every image below a folder, as sorted posix paths relative to it. Links are followed, each folder
    once.
    """
    ((found, own),) = walk_folders(folder, [""])
    left.add(own)
    return found


def walk_folders(root: Path, names: Sequence[str]) -> list[tuple[list[str], Leftovers]]:
    """For each of several folders below `root`: its images, sorted posix paths relative to it, and what else
    lay there.

    Each folder is walked once. Links to folders come last, so that none takes the images of a folder from
    where they lie, and one that leads above the folders is not followed.
    """
    results: list[tuple[list[str], Leftovers]] = [([], Leftovers()) for _ in names]
    seen = _folders_above(root, names)
    real = root.resolve()
    waiting = deque((place, "") for place, name in enumerate(names) if (root / name).resolve() == real / name)
    links = deque((place, "") for place, name in enumerate(names) if (root / name).resolve() != real / name)
    while waiting or links:
        place, inner = (waiting or links).popleft()
        found, left = results[place]
        here = root / names[place] / inner
        said = "/".join(filter(None, (names[place], inner))) or str(root)
        try:
            mark = _mark(here)
            if mark in seen:
                left.loops.append(said)
                continue
            seen.add(mark)
            folders, images = list_folder(here, left)
        except (OSError, UserError):
            left.closed.append(said)
            continue
        prefix = f"{inner}/" if inner else ""
        found += [prefix + name for name in images]
        for name in folders:
            (links if (here / name).is_symlink() else waiting).append((place, prefix + name))
    return [(sorted(found), left) for found, left in results]


def _folders_above(root: Path, names: Sequence[str]) -> set[tuple[int, int]]:
    tops = [root / name for name in names]
    above = {
        parent for top in tops for parent in (*top.resolve().parents, *(top.parent.resolve() / "x").parents)
    }
    if "" in names:
        above.discard(root.resolve())
    marks = set()
    for folder in above:
        with suppress(OSError):
            marks.add(_mark(folder))
    return marks


def _mark(folder: Path) -> tuple[int, int]:
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _is_file(entry: os.DirEntry[str]) -> bool:
    # MethodResult a pipe called a.jpg would wait for ever.
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle
        return False
