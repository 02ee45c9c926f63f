"""Answers as a table for people, and as JSON and CSV for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from convscope.core.spreadsheet import csv_text
from convscope.inference.prediction import Prediction

if TYPE_CHECKING:
    from rich.table import Table


UNKNOWN = "unknown"


def predictions_table(answers: Iterable[Prediction], *, top: int = 3) -> Table:
    """A rich table: image, answer, probability and the answers that come next; an unreadable image says why.

    Where the network is not sure enough the answer is *unknown*, and its guesses come next.

    >>> predictions_table([Prediction("a.jpg", "cat", 0.9, (("cat", 0.9),))]).row_count
    1
    """
    from rich.table import Table
    from rich.text import Text

    table = Table()
    table.add_column("image", overflow="fold")
    table.add_column("answer")
    table.add_column("probability", justify="right")
    table.add_column("then", style="dim")
    for answer in answers:
        # Text, because a file may be called [red].jpg and rich would read that as a colour.
        if answer.error is not None:
            table.add_row(Text(answer.name), Text(answer.error, style="red"), "", "")
            continue
        shown, rest = (
            (answer.label or "", answer.top[1:top]) if not answer.unknown else (UNKNOWN, answer.top[:top])
        )
        then = ", ".join(f"{label} {probability:.1%}" for label, probability in rest)
        sure = "" if answer.unknown else f"{answer.probability:.1%}"
        table.add_row(Text(answer.name), Text(shown), sure, Text(then))
    return table


def predictions_json(answers: Iterable[Prediction]) -> str:
    """A JSON array with one object for each answer; see `Prediction`.

    >>> predictions_json([])
    '[]'
    """
    return json.dumps([answer.to_dict() for answer in answers], indent=2, ensure_ascii=False, allow_nan=False)


def predictions_csv(answers: Iterable[Prediction]) -> str:
    """A CSV document: name, prediction, probability, the next answers each with its probability, unknown and
    error.

    >>> print(predictions_csv([Prediction("a.jpg", "cat", 0.9, (("cat", 0.9), ("dog", 0.1)))]), end="")
    name,prediction,probability,second,probability_2,unknown,error
    a.jpg,cat,0.9,dog,0.1,0,
    """
    rows = list(answers)
    width = max((len(answer.top) for answer in rows), default=1)
    header = ["name", *prediction_header(width), "unknown", "error"]
    return csv_text(
        header, ([row.name, *prediction_cells(row, width), int(row.unknown), row.error] for row in rows)
    )


def prediction_header(width: int) -> list[str]:
    """The names of the columns that `prediction_cells` fills, for the first `width` answers.

    >>> prediction_header(2)
    ['prediction', 'probability', 'second', 'probability_2']
    """
    ordinals = ["second", "third", *(f"{n}th" for n in range(4, width + 1))]
    header = ["prediction", "probability"]
    for number, ordinal in enumerate(ordinals[: max(width - 1, 0)], start=2):
        header += [ordinal, f"probability_{number}"]
    return header


def prediction_cells(answer: Prediction, width: int) -> Sequence[object]:
    """The first `width` answers as label, probability, label, probability, …; None where there is none."""
    cells: list[object] = [cell for pair in answer.top[:width] for cell in pair]
    return cells + [None] * (2 * max(width, 1) - len(cells))
