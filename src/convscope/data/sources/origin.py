"""A source as a value: a name, a place, its splits as functions that open them, and notes for a person."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from convscope.core.contracts import Dataset
from convscope.core.errors import UserError
from convscope.data.dataset import hash_of_stats

SPLITS = ("train", "validation", "test")

_NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}

# Hashing runs at about 1 GB/s; above this many bytes sizes and times stand for the contents.
_HASHED_BYTES = 2 << 30


def split_of(name: str) -> str | None:
    """The split that a folder, file or cell of this name means, in any case; None where it means none.

    >>> split_of("Valid"), split_of("testing"), split_of("cats")
    ('validation', 'test', None)
    """
    folded = name.strip().lower()
    return next((split for split, names in _NAMES.items() if folded in names), None)


@dataclass(frozen=True, eq=False)
class Source:
    """Where images come from. `splits` maps split names to functions that open them; nothing is read before.

    `compute_fingerprint`: what `fingerprint()` keeps. `notes`: lines for a person about what was ignored or
    odd. `kind`: what it is ("class folders", "CSV", …). `mirrors`: a mirrored image still shows what its
    label says.
    """

    name: str
    location: Path
    splits: Mapping[str, Callable[[], Dataset]]
    compute_fingerprint: Callable[[], str]
    notes: tuple[str, ...] = ()
    kind: str = ""
    mirrors: bool = True

    @property
    def split_names(self) -> tuple[str, ...]:
        """The official splits, of "train", "validation" and "test", in that order."""
        return tuple(split for split in SPLITS if split in self.splits)

    def open(self, split: str) -> Dataset:
        """The images of one split; a UserError where the source has no such split."""
        if split not in self.splits:
            raise UserError(f"{self.name} has no split {split!r}; it has: {', '.join(self.split_names)}")
        return self.splits[split]()

    def fingerprint(self) -> str:
        """SHA-256, in hex, of the files at the first call; another Source sees whether they changed.

        Array and table files (up to 2 GiB together) count by their bytes, image files by path, size and time.
        """
        # Kept: hashing two gigabytes takes two seconds, and a run asks several times.
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return self.compute_fingerprint()


def hash_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 over the names and bytes of files, or over names, sizes and times above 2 GiB together.

    >>> len(hash_of_files([]))
    64
    """
    # Sorted, so that the order in which a system lists them does not count.
    files = sorted(paths)
    if sum(path.stat().st_size for path in files) > _HASHED_BYTES:
        return hash_of_stats(files, [path.name for path in files])
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.name}\0{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
