"""A benchmark: networks trained under one budget, what was measured of each, and where that is kept.

The networks keep the order of the command and none is called the best: accuracy, size and speed are three
questions, and who chooses by test accuracy has used the test split for training.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convscope.core.atomic import write_json
from convscope.core.config import RunConfig
from convscope.core.run.folder import new_folder, runs_of
from convscope.core.settings import current_settings, flat
from convscope.experiments.compare import MeanStd
from convscope.models.references import is_custom_model
from convscope.models.spec_text import short_count

if TYPE_CHECKING:
    from rich.table import Table

REPORT_FILE, PICTURE_FILE = "comparison.json", "comparison.png"
# Two lines a header keep the table within 80 columns.
COLUMNS = (
    "parameters",
    "MACs",
    "test\naccuracy, %",
    "training\nseconds",
    "\nimages/s",
    "predicting\nimages/s",
)


@dataclass(frozen=True)
class BenchmarkEntry:
    """One network. `name`: for people; `model`: for training; `folders`: its finished runs.

    `figures` over these runs, by name: test_accuracy (0 to 1), parameters, macs (an image), seconds (of
    training), images_per_second (in training) and throughput (images a second, predicting). `problem`: why it
    has not come to its end, in a line.
    """

    name: str
    model: str
    folders: tuple[Path, ...] = ()
    figures: Mapping[str, MeanStd] = field(default_factory=dict)
    problem: str = ""

    def mean(self, figure: str) -> float | None:
        """The mean of a figure over the runs; None where there is none."""
        mean_std = self.figures.get(figure)
        return mean_std.mean if mean_std else None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        figures = {name: vars(mean_std) for name, mean_std in self.figures.items()}
        folders = [str(folder) for folder in self.folders]
        return vars(self) | {"folders": folders, "figures": figures}


@dataclass(frozen=True)
class Benchmark:
    """Networks on one data set under one budget. `folder` holds their runs, the report and the chart.

    `budget`: for people. `key`: what has to be equal for a later benchmark to go on in the same folder.
    `speed`: the conditions of the throughput. `origin`: command, date, hardware and versions. `interrupted`:
    Ctrl-C ended it.
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
        # By the model: two files may hold classes of one name.
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
        """Lines to read with the table: budget, conditions of the throughput, notes on the runs, failures."""
        threads = f"{self.speed['threads']} thread{'s' * (self.speed['threads'] > 1)}"
        batch = f"median of calls with one batch of up to {self.speed['batch']} test images"
        return (
            f"budget: {self.budget}",
            f"predicting: {batch}, {self.speed['device']}, {self.speed['precision']}, {threads}",
            *(f"note: {note}" for note in self.notes),
            *(f"{entry.name} failed: {entry.problem}" for entry in self.failed),
        )

    def table(self) -> Table:
        """A rich table with a row for each network."""
        # Imported late: a program that reads the JSON form does without rich.
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
        table.add_column("network", overflow="fold")
        for header in COLUMNS:
            table.add_column(header, justify="right", no_wrap=True)
        runs = max((len(entry.folders) for entry in self.entries), default=0)
        for entry in self.entries:
            table.add_row(Text(entry.name), *_cells(entry, runs))
        return table


def _cells(entry: BenchmarkEntry, runs: int) -> list[str]:
    """The figures of a row. The budget names the number of `runs`; a row with fewer says its own."""
    accuracy = entry.figures.get("test_accuracy")
    # The seeds before a failure are figures all the same; remarks tell of the failure.
    test = "failed" if entry.problem else "–"
    if accuracy:
        test = accuracy.text(100) + (f" (n={accuracy.n})" if accuracy.n < runs else "")
    return [
        short_count(entry.mean("parameters")),
        short_count(entry.mean("macs")),
        test,
        *(_number(entry.mean(figure)) for figure in ("seconds", "images_per_second", "throughput")),
    ]


def _number(figure: float | None) -> str:
    """Three digits say enough of a time or a rate, which the next run would repeat to a few percent."""
    if figure is None:
        return "–"
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.1f}"


def benchmark_key(shared: RunConfig, models: Sequence[str], data: str) -> dict[str, Any]:
    """What two benchmarks must agree on to share a folder, as JSON types.

    Args:
        shared: the configuration of all networks; its seed and its network do not count.
        models: names and custom models.
        data: the fingerprint of the data.

    Returns:
        `settings` by dotted keys, the fingerprint `data`, and in `files` the SHA-256 of each file that holds
        a custom model.
    """
    # Without the seed: a later command with more seeds adds runs to the same folder.
    settings = flat(
        {name: value for name, value in shared.to_dict().items() if name not in {"seed", "model"}}
    )
    # Split at the last colon, since a Windows path has one after its drive.
    paths = {Path(model.rpartition(":")[0]).resolve() for model in models if is_custom_model(model)}
    # The bytes and not the date: a file that was saved again without a change is the same.
    files = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}
    return {"settings": settings, "data": data, "files": files}


def benchmark_folder(base: Path, key: Mapping[str, Any]) -> Path:
    """The newest of `base`, `base-2`, … that holds a benchmark with this key; else a new one of them.

    Networks may come and go, but a file that took part in both has to be the same.

    Args:
        base: the folder that was asked for.
        key: of the new benchmark, by `benchmark_key`.
    """
    for folder in runs_of(base, REPORT_FILE):
        earlier = _read_key(folder)
        same = earlier and all(earlier[part] == key[part] for part in ("settings", "data"))
        if same and all(
            earlier["files"].get(path, digest) == digest for path, digest in key["files"].items()
        ):
            return folder
    return new_folder(base)


def write_report(benchmark: Benchmark) -> None:
    """Write the report file of a benchmark.

    Files of networks that took part earlier stay in its key: their runs are still in the folder.
    """
    files = _read_key(benchmark.folder).get("files", {}) | benchmark.key["files"]
    report = replace(benchmark, key={**benchmark.key, "files": files})
    write_json(benchmark.folder / REPORT_FILE, report.to_dict())


def _read_key(folder: Path) -> dict[str, Any]:
    """The key of the benchmark in a folder, whole; empty where there is none that can be read."""
    # A damaged report counts as none: the benchmark then starts a new folder.
    with suppress(OSError, ValueError, KeyError, TypeError):
        key = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))["key"]
        # A benchmark of an earlier version has older names of settings, and goes on all the same.
        return {"settings": current_settings(key["settings"]), "data": key["data"], "files": key["files"]}
    return {}
