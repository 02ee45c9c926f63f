"""Errors that tell a person what to do next.

Two families. A `UserError` is a mistake in what was asked for (exit code 2); a `Failure` is something that
went wrong while doing it (exit code 1). Both carry one line: what there was, what is allowed, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ConvscopeError(Exception):
    """The parent of every error that Convscope raises on purpose; `exit_code` is for the command line."""

    exit_code = 1


class UserError(ConvscopeError):
    """What was asked for cannot be done as it was asked: a wrong path, name, value or file."""

    exit_code = 2


class ShapeError(UserError):
    """An array does not fit a layer; the message names the layer, what it got and what it needs."""


class Failure(ConvscopeError):  # noqa: N818 (a sentence: UserError or Failure)
    """The request was fine and the work failed: a NaN loss, a full disk, a broken download."""

    exit_code = 1


def nearest(name: str, allowed: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    """The allowed name that is most like `name`, or None when none is close.

    Args:
        name: what a person typed.
        allowed: the right names.
        cutoff: similarity from 0 to 1 below which nothing is close.

    >>> nearest("smal_cnn", ["lenet5", "small_cnn"])
    'small_cnn'
    """
    # Case is forgiven: papers write ResNet, and the names here are small.
    folded = {a.lower(): a for a in allowed}
    # At 0.5, below difflib's own 0.6, one wrong letter of two is still close: ls for lr.
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=cutoff)
    return folded[close[0]] if close else None


def unknown_name(kind: str, name: str, allowed: Iterable[str]) -> UserError:
    """The error for a name that is not on a list: it names the nearest right one and, up to 24 of them, all.

    Args:
        kind: the noun, such as "network".
        name: what a person typed.
        allowed: the right names.

    >>> str(unknown_name("network", "smal_cnn", ["lenet5", "small_cnn"]))
    "there is no network 'smal_cnn'; did you mean 'small_cnn'? allowed: lenet5, small_cnn"
    """
    names = sorted(allowed)
    guess = nearest(name, names)
    hint = f"did you mean {guess!r}? " if guess else ""
    # 24 names fill about three lines of a terminal.
    shown = ", ".join(names[:24]) + (f" and {len(names) - 24} more" if len(names) > 24 else "")
    return UserError(f"there is no {kind} {name!r}; {hint}allowed: {shown}")
