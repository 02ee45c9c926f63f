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
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".png", ".webp", ".avif", ".gif", ".bmp"),
        *(".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    }
)
# Of macOS archives, Windows and Synology.
_SYSTEM_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir"})


@dataclass
class Leftovers:
    """What a walk passed over: hidden names, files that are no images, closed folders, and loops."""

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

    @property
    def empty(self) -> bool:
        """Whether a folder without images was truly empty: no other files in it, and no link back."""
        return not (self.others or self.loops)

    def notes(self) -> Iterator[str]:
        """One line for each kind."""
        for names, what in (
            (self.hidden, "hidden or system files and folders were ignored"),
            (self.others, "files are no images, by ending or kind, and were ignored"),
            (self.closed, "folders could not be listed and were left out"),
            (self.loops, "links lead to a folder that is read anyway, or above it, and were not followed"),
        ):
            if names:
                yield f"{len(names)} {what}: {shortened(sorted(names))}"


def shortened(names: list[str], limit: int = 3) -> str:
    """The first names, and that there are more.

    Args:
        names: all of them.
        limit: how many are shown.

    >>> shortened(["a", "b", "c", "d", "e"])
    'a, b, c, …'
    """
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")


def is_hidden(name: str) -> bool:
    """Whether a name is hidden (.DS_Store) or an operating system's own (__MACOSX, Thumbs.db).

    >>> is_hidden(".DS_Store"), is_hidden("cats")
    (True, False)
    """
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def is_image(name: str) -> bool:
    """Whether a file is an image by its ending, in any case.

    >>> is_image("a.JPG"), is_image("a.txt")
    (True, False)
    """
    return os.path.splitext(name)[1].lower() in IMAGE_ENDINGS  # noqa: PTH122, Path costs 10 ×, once a file


def list_folder(folder: Path, left: Leftovers) -> tuple[list[str], list[str]]:
    """What lies directly in a folder.

    Args:
        folder: the folder to list.
        left: takes in hidden names and files that are no images.

    Returns:
        (folders, images), names, sorted.

    Raises:
        UserError: the folder cannot be listed.
    """
    folders, images = [], []
    try:
        # scandir mostly knows files from folders without a system call for each (PEP 471).
        with os.scandir(folder) as entries:
            for entry in entries:
                # First, so that .ipynb_checkpoints is no class.
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
    """Every image below a folder; links are followed, each folder once.

    Args:
        folder: where to begin.
        left: takes in what is passed over.

    Returns:
        Sorted posix paths relative to `folder`.
    """
    ((images, own),) = walk_folders(folder, [""])
    left.add(own)
    return images


def walk_folders(root: Path, names: Sequence[str]) -> list[tuple[list[str], Leftovers]]:
    """The images below each of several folders, and what else lay there.

    Each folder is walked once. Links to folders come last, so that none takes the images of a folder from
    where they lie, and one that leads above the folders is not followed.

    Args:
        root: where the folders are.
        names: the folders, relative to `root`; "" is `root` itself.

    Returns:
        For each name: sorted posix paths of images relative to that folder, and the leftovers.
    """
    results: list[tuple[list[str], Leftovers]] = [([], Leftovers()) for _ in names]
    # A link to a folder above would lead round for ever.
    seen = _folders_above(root, names)
    waiting, links = _starts(root, names)
    while waiting or links:
        number, inner = (waiting or links).popleft()
        images, left = results[number]
        here = root / names[number] / inner
        folders, own = _listed_once(here, seen, left, name=_shown(root, names[number], inner))
        prefix = f"{inner}/" if inner else ""
        images += [prefix + name for name in own]
        for name in folders:
            (links if (here / name).is_symlink() else waiting).append((number, prefix + name))
    return [(sorted(images), left) for images, left in results]


def _starts(root: Path, names: Sequence[str]) -> tuple[deque[tuple[int, str]], deque[tuple[int, str]]]:
    """(number of the name, path below it) of the first folders: those that lie there, and links to others."""
    real = root.resolve()
    linked = [(root / name).resolve() != real / name for name in names]
    waiting = deque((number, "") for number, link in enumerate(linked) if not link)
    return waiting, deque((number, "") for number, link in enumerate(linked) if link)


def _shown(root: Path, name: str, inner: str) -> str:
    return "/".join(filter(None, (name, inner))) or str(root)


def _listed_once(
    folder: Path, seen: set[tuple[int, int]], left: Leftovers, *, name: str
) -> tuple[list[str], list[str]]:
    """As `list_folder`; nothing, and a leftover `name`, for a folder that was seen or cannot be listed."""
    try:
        identity = _identity(folder)
        if identity in seen:
            left.loops.append(name)
            return [], []
        seen.add(identity)
        return list_folder(folder, left)
    # One closed folder among a thousand is worth a note, and not the end.
    except (OSError, UserError):
        left.closed.append(name)
        return [], []


def _folders_above(root: Path, names: Sequence[str]) -> set[tuple[int, int]]:
    # Both where a folder lies and where it leads: a link may point above its own place.
    tops = [root / name for name in names]
    above = {
        parent for top in tops for parent in (*top.resolve().parents, *(top.parent.resolve() / "x").parents)
    }
    if "" in names:
        above.discard(root.resolve())
    identities = set()
    for folder in above:
        with suppress(OSError):
            identities.add(_identity(folder))
    return identities


def _identity(folder: Path) -> tuple[int, int]:
    # Device and inode are the same for a folder whatever link leads to it.
    stat = folder.stat()
    return stat.st_dev, stat.st_ino


def _is_file(entry: os.DirEntry[str]) -> bool:
    # Reading a pipe called a.jpg would wait for ever.
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads round in a circle
        return False
