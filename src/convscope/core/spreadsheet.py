"""Tables as CSV that a spreadsheet may open: a file name cannot become a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

# What Excel, LibreOffice and Google Sheets take for the beginning of a formula, and the tab they skip first.
FORMULA = ("=", "+", "-", "@", "\t")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""A CSV document (RFC 4180, but lines end in \n); None is an empty cell, a float has six digits.

    A text that begins like a formula gets an apostrophe before it, which spreadsheets read as "this is text"
    (OWASP, CSV injection). A program that needs names exactly reads the JSON form, which changes nothing.

    Args:
        header: the names of the columns.
        rows: as many cells each.

    >>> print(csv_text(["name", "probability"], [["=cmd()", 0.5], ["a,b", None]]), end="")
    name,probability
    '=cmd(),0.5
    "a,b",
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_cell(value) for value in header])
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    # Six digits: more are noise of the processor, and files of two machines should agree.
    if isinstance(value, float):
        return f"{value:.6g}"
    if not isinstance(value, str):
        return value
    # A bare \r ends a line for some readers, and Python's writer does not quote it.
    text = value.replace("\r", "\\r")
    return f"'{text}" if text.startswith(FORMULA) else text
