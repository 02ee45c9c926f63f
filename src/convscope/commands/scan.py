"""`convscope scan`, and its report as a table: a line an issue, five examples, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from convscope.commands.output import console, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from convscope.data.scanning.scan_report import ScanIssue, ScanReport

# The severity is also a word, so that nobody has to tell the colours apart.
_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def scan(data: str, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Look at images before any training. Nothing is changed or deleted; training leaves out what is harmful.

    Parameters
    ----------
    data
        A name or a path, as for train.
    json
        Print everything that was found as JSON; the table shows the first examples.
    """
    from convscope.commands.terminal import Terminal
    from convscope.data.scanning.scan import scan_source
    from convscope.data.source import open_source

    with Terminal(quiet=json) as terminal:
        source = open_source(data, progress=terminal.progress)
        # Before the scan, the slow part: who sees a wrong folder here can stop.
        for note in source.notes:
            terminal.say(f"note: {note}")
        report = scan_source(source, progress=terminal.progress)
    if json:
        write_json(report.to_dict())
    else:
        console().print(scan_table(report))


def scan_table(report: ScanReport) -> Table:
    """The table of a report, for a rich console; the complete lists are in `report.to_dict()`.

    >>> from convscope.data.scanning.scan_report import ScanReport
    >>> scan_table(ScanReport("cats", "", {"train": 2}, (), ())).row_count
    1
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    counted = ", ".join(f"{count:,} {split}" for split, count in report.images.items())
    left_out = (
        f"{len(report.quarantine):,} images are in quarantine, which training leaves out; nothing is deleted"
    )
    table = Table(title=escape(f"{report.source}: {counted}"), caption=left_out, box=box.SIMPLE_HEAD)
    for heading in ("", "count", "finding, what to do, examples"):
        table.add_column(heading, justify="right" if heading == "count" else "left", overflow="fold")
    for issue in report.findings:
        # Text and not markup: a file may be called [red].jpg.
        shown = Text(f"{issue.kind}\n", style="bold") + Text(issue.advice)
        for line in _examples(issue):
            shown.append(f"\n  {line}", style="dim")
        table.add_row(Text(issue.severity, style=_COLOURS[issue.severity]), f"{issue.count:,}", shown)
    if not report.findings:
        table.add_row("note", "0", "nothing was found: train")
    return table


def _examples(issue: ScanIssue) -> list[str]:
    joint = " = " if "duplicates" in issue.kind else ": "
    hidden = issue.count - len(issue.examples)
    more = [f"… {hidden:,} more"] if hidden else []
    return [joint.join(item) for item in issue.examples] + more
