"""A list of things by name, so that each is written once and every property is checked over all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from convscope.core.errors import unknown_name

T = TypeVar("T")


class Registry(Generic[T]):
    """Names and what they stand for, in the order in which they were added.

    >>> shapes: Registry[int] = Registry("shape")
    >>> _ = shapes.add("triangle")(3)
    >>> shapes["triangle"], list(shapes)
    (3, ['triangle'])
    """

    def __init__(self, kind: str) -> None:
        """`kind` is the noun that error messages use, such as "network"."""
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str) -> Callable[[T], T]:
        """A decorator that enters what it decorates under `name`; a name is entered once."""
        # Two entries of one name are a slip in the package, not of a person: no UserError.
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered already")

        def enter(entry: T) -> T:
            self._entries[name] = entry
            return entry

        return enter

    def __getitem__(self, name: str) -> T:
        """What stands under `name`; an unknown name is a UserError that says the nearest right one."""
        if name not in self._entries:
            raise unknown_name(self.kind, name, self._entries)
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        # In the order of entry, which is that of every table shown.
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
