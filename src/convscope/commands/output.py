"""What commands share in talking to a person: where answers go, and the words to type next."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from convscope.core.run.display import Screen


def console() -> Console:
    """Standard output, without colouring numbers or reading brackets in names as markup."""
    return Screen(highlight=False, markup=False)


def write_out(text: str) -> None:
    """Text for another program: as it is, on standard output, whatever the width of the terminal."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def write_json(value: Any) -> None:
    """A value as JSON on standard output."""
    write_out(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def counted(count: int, what: str) -> str:
    """So many of something, in words that agree.

    >>> counted(1, "image"), counted(1_200, "image")
    ('1 image', '1,200 images')
    """
    return f"{count:,} {what}{'s' * (count != 1)}"


def program() -> str:
    """How this program was called, as it can be typed again from the same folder."""
    path = Path(sys.argv[0])
    if path.name != "convscope":
        return "convscope"
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return "convscope"
