"""A scan's report as a table for people: one line a finding, five examples, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convscope.data.scanning.scan_report import EXAMPLES, ScanIssue, ScanReport

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def scan_table(report: ScanReport) -> Table:
    """The table of a report, for a rich console; the complete lists are in `report.to_dict()`.

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
    for finding in report.findings:
        told = Text(f"{finding.kind}\n", style="bold") + Text(finding.advice)
        for line in _examples(finding):
            told.append(f"\n  {line}", style="dim")
        table.add_row(Text(finding.severity, style=_COLOURS[finding.severity]), f"{finding.count:,}", told)
    if not report.findings:
        table.add_row("note", "0", "nothing was found: train")
    return table


def _examples(finding: ScanIssue) -> list[str]:
    joint = " = " if "duplicates" in finding.kind else ": "
    more = [f"… {finding.count - EXAMPLES:,} more"] if finding.count > EXAMPLES else []
    return [joint.join(item) for item in finding.examples] + more
