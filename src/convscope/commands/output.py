"""What commands share in talking to a person: where output goes, and how to type the next command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from convscope.commands.terminal import Screen

if TYPE_CHECKING:
    from rich.table import Table

    from convscope.inference.prediction import Prediction

UNKNOWN = "unknown"


def console() -> Console:
    """Standard output, without colouring numbers or reading brackets in names as markup."""
    return Screen(highlight=False, markup=False)


def write_out(text: str) -> None:
    """Text for another program: as it is, on standard output, whatever the width of the terminal."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def write_json(value: Any) -> None:
    """A value as JSON on standard output."""
    # JSON has no NaN: other programs would refuse the whole file.
    write_out(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def current_names(settings: dict[str, Any]) -> dict[str, Any]:
    """Nested settings under the names of this version; each older name is a line on standard error."""
    from convscope.core.config_keys import with_current_names

    current, notes = with_current_names(settings)
    # Not on standard output, which may be JSON.
    for note in notes:
        sys.stderr.write(f"note: {note}\n")
    return dict(current)


def counted(count: int, what: str) -> str:
    """A number and what it counts, in the singular or plural.

    Args:
        count: 0 or more.
        what: in the singular.

    >>> counted(1, "image"), counted(1_200, "image")
    ('1 image', '1,200 images')
    """
    return f"{count:,} {what}{'s' * (count != 1)}"


def program() -> str:
    """How this program was called, as it can be typed again from the same folder."""
    path = Path(sys.argv[0])
    # With python -m, in a notebook or a test the first argument is another program.
    if path.name != "convscope":
        return "convscope"
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    # Not below this folder: most likely installed, and found on PATH.
    except ValueError:
        return "convscope"


def predictions_table(predictions: Iterable[Prediction], *, top: int = 3) -> Table:
    """A rich table: image, prediction, probability and the classes that come next.

    Where the network is not sure enough the prediction is *unknown*, and its guesses come next.

    Args:
        predictions: a row each; that of an unreadable image says why it is.
        top: so many classes a row.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("image", overflow="fold")
    table.add_column("answer")
    table.add_column("probability", justify="right")
    table.add_column("then", style="dim")
    for row in predictions:
        # Text, because a file may be called [red].jpg and rich would read that as a colour.
        if row.error is not None:
            table.add_row(Text(row.name), Text(row.error, style="red"), "", "")
            continue
        # The first of `top` is the prediction itself; of *unknown* it is only a guess.
        label, rest = (UNKNOWN, row.top[:top]) if row.unknown else (row.label or "", row.top[1:top])
        then = ", ".join(f"{name} {value:.1%}" for name, value in rest)
        # A number beside *unknown* would be read as the probability of being unknown.
        probability = "" if row.unknown else f"{row.probability:.1%}"
        table.add_row(Text(row.name), Text(label), probability, Text(then))
    return table
