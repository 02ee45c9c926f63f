"""From what a person types (a name or a path) to a Source."""

from __future__ import annotations

from pathlib import Path

from convscope.core.errors import UserError
from convscope.data.fashion_mnist_bundle import fashion_mnist
from convscope.data.origin import Source

__all__ = ["Source", "open_source"]


def open_source(data: str | Path) -> Source:
    """The source that `data` means.

    >>> open_source("fashion_mnist").split_names
    ('train', 'test')
    """
    if data == "fashion_mnist":
        return fashion_mnist()
    raise UserError(f"there is no data set {str(data)!r} yet; allowed: fashion_mnist")
