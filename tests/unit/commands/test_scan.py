from __future__ import annotations

from rich.console import Console

from convscope.commands.scan import scan_table
from convscope.data.scanning.scan_report import Quarantined, ScanIssue, ScanReport


def text(report: ScanReport) -> str:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(scan_table(report))
    console.file.close()
    return console.export_text()


def test_a_line_a_finding_with_five_examples_and_what_to_do() -> None:
    items = tuple((f"{i}.jpg", "the file has 0 bytes") for i in range(1234))
    report = ScanReport(
        "pets", "", {"train": 2000}, (ScanIssue("empty", "error", "copy them again", items),), ()
    )
    shown = text(report)
    for words in (
        "pets: 2,000 train",
        "error",
        "1,234",
        "copy them again",
        "4.jpg: the file has 0 bytes",
        "1,229 more",
    ):
        assert words in shown
    assert "5.jpg" not in shown


def test_names_with_brackets_are_shown_as_they_are() -> None:
    finding = ScanIssue("near duplicates", "note", "look", (("[red]a[/red].jpg", "b.jpg"),))
    report = ScanReport("[x]", "", {"train": 2}, (finding,), (Quarantined("a", "train", "why"),))
    shown = text(report)
    assert "[red]a[/red].jpg = b.jpg" in shown
    assert "[x]: 2 train" in shown
    assert "1 images are in quarantine" in shown
