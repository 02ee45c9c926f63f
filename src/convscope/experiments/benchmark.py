"""Networks that were trained under one budget, and what was measured of each: a value to print, to store and
to draw.

They stand in the order in which they were named and none is called the best: accuracy, size and speed are
three questions, and who chooses by test accuracy has used the test split for training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convscope.experiments.compare import MeanStd
from convscope.models.spec_text import short_count

if TYPE_CHECKING:
    from rich.table import Table

REPORT_FILE, PICTURE_FILE = "comparison.json", "comparison.png"


@dataclass(frozen=True)
class BenchmarkEntry:
    """One network. `name`: what people call it; `model`: what training is told; `folders`: its finished runs.

    `figures` by name, of those runs: test_accuracy (0 to 1), parameters, macs (an image), seconds (of
    training), images_per_second (in training) and throughput. `problem`: why it has not come to its end, in a
    line.
    """

    name: str
    model: str
    folders: tuple[Path, ...] = ()
    figures: Mapping[str, MeanStd] = field(default_factory=dict)
    problem: str = ""

    def mean(self, figure: str) -> float | None:
        """The mean of a figure over the runs; None where there is none."""
        spread = self.figures.get(figure)
        return spread.mean if spread else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        figures = {name: vars(spread) for name, spread in self.figures.items()}
        folders = [str(folder) for folder in self.folders]
        return vars(self) | {"folders": folders, "figures": figures}


@dataclass(frozen=True)
class Benchmark:
    """Networks on one data set under one budget. `folder` holds their runs, `comparison.json` and
    `comparison.png`.

    `budget`: in words. `key`: what has to be equal for a later benchmark to go on in the same folder.
    `speed`: how the answering rate was measured. `origin`: command, date, hardware and versions.
    `interrupted`: Ctrl-C ended it.
    """

    folder: Path
    data: str
    budget: str
    key: Mapping[str, Any]
    speed: Mapping[str, Any]
    origin: Mapping[str, Any]
    entries: tuple[BenchmarkEntry, ...]
    notes: tuple[str, ...] = ()
    interrupted: bool = False

    def with_entry(self, entry: BenchmarkEntry) -> Benchmark:
        """The same benchmark with the newest state of one network."""
        return replace(self, entries=tuple(entry if e.model == entry.model else e for e in self.entries))

    @property
    def failed(self) -> tuple[BenchmarkEntry, ...]:
        """The networks that did not come to their end."""
        return tuple(entry for entry in self.entries if entry.problem)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        entries = [entry.to_dict() for entry in self.entries]
        return vars(self) | {"folder": str(self.folder), "entries": entries, "notes": list(self.notes)}

    @property
    def remarks(self) -> tuple[str, ...]:
        """Lines to read with the table: the budget, how speed was measured, notes on the runs, and what went
        wrong.
        """
        threads = f"{self.speed['threads']} thread{'s' * (self.speed['threads'] > 1)}"
        batch = f"median of calls with one batch of up to {self.speed['batch']} test images"
        return (
            f"budget: {self.budget}",
            f"answering: {batch}, {self.speed['device']}, {self.speed['precision']}, {threads}",
            *(f"note: {note}" for note in self.notes),
            *(f"{entry.name} failed: {entry.problem}" for entry in self.failed),
        )

    def table(self) -> Table:
        """A rich table with a row for each network."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
        table.add_column("network", overflow="fold")
        for header in (
            "parameters",
            "MACs",
            "test\naccuracy, %",
            "training\nseconds",
            "\nimages/s",
            "answering\nimages/s",
        ):
            table.add_column(header, justify="right", no_wrap=True)
        runs = max((len(entry.folders) for entry in self.entries), default=0)
        for entry in self.entries:
            table.add_row(Text(entry.name), *_cells(entry, runs))
        return table


def _cells(entry: BenchmarkEntry, runs: int) -> list[str]:
    """The figures of a row; `n` is shown where it is less than the `runs` of others, which the budget
    names.
    """
    accuracy = entry.figures.get("test_accuracy")
    shown = "failed" if entry.problem else "–"
    if accuracy:
        several = f" ± {100 * accuracy.sd:.2f}" if accuracy.sd is not None else ""
        fewer = f" (n={accuracy.n})" if accuracy.n < runs else ""
        shown = f"{100 * accuracy.mean:.2f}{several}{fewer}"
    return [
        short_count(entry.mean("parameters")),
        short_count(entry.mean("macs")),
        shown,
        *(_whole(entry.mean(figure)) for figure in ("seconds", "images_per_second", "throughput")),
    ]


def _whole(figure: float | None) -> str:
    if figure is None:
        return "–"
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}"
