"""A scan's report as a table for people: one line a finding, five examples, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convscope.data.scan_report import EXAMPLES, Finding, ScanReport

if TYPE_CHECKING:
    from rich.table import Table

_COLOURS = {"error": "bold red", "warning": "yellow", "note": "dim"}


def scan_table(report: ScanReport) -> Table:
    """The table of a report, for a rich console; the complete lists are in `report.to_dict()`.

    >>> scan_table(ScanReport("cats", "", {"train": 2}, (), ())).row_count
    1
    """
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    counted = ", ".join(f"{count:,} {split}" for split, count in report.images.items())
    left_out = f"{len(report.quarantine):,} images are in quarantine, which training leaves out; nothing is deleted"
    table = Table(title=escape(f"{report.source}: {counted}"), caption=left_out, box=box.SIMPLE_HEAD)
    for heading in ("", "finding", "count", "what to do", "for example"):
        table.add_column(heading, justify="right" if heading == "count" else "left", overflow="fold")
    for finding in report.findings:
        words = (finding.severity, finding.kind, f"{finding.count:,}", finding.advice, _examples(finding))
        table.add_row(*map(escape, words), style=_COLOURS[finding.severity])
    if not report.findings:
        table.add_row("note", "nothing", "0", "train", "")
    return table


def _examples(finding: Finding) -> str:
    more = [f"… {finding.count - EXAMPLES:,} more"] if finding.count > EXAMPLES else []
    lines = [" = ".join(item) if "duplicates" in finding.kind else ": ".join(item) for item in finding.examples]
    return "\n".join(lines + more)
