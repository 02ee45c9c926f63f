"""Runs side by side: their figures, and only those settings in which they differ.

Runs that differ in their seed alone are one column, mean ± standard deviation. Columns keep the order in
which the runs were given and none is called the best: who chooses by test accuracy has used the test split
for training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convscope.core.errors import UserError
from convscope.core.run.record import RunRecord, read_run

if TYPE_CHECKING:
    from rich.table import Table

# Name, what a person reads, and how many digits of what.
FIGURES = {
    "test_accuracy": ("test accuracy, %", 100.0, 2),
    "test_macro_f1": ("test macro-F1, %", 100.0, 2),
    "validation_accuracy": ("validation accuracy, %", 100.0, 2),
    "validation_macro_f1": ("validation macro-F1, %", 100.0, 2),
    "parameters": ("parameters", 1.0, 0),
    "seconds": ("seconds of training", 1.0, 1),
    "images_per_second": ("images a second", 1.0, 0),
}


@dataclass(frozen=True)
class MeanStd:
    """A figure over `n` runs: mean and sample standard deviation (n − 1), which is None for one run.

    >>> MeanStd.of([1.0, 3.0])
    MeanStd(n=2, mean=2.0, sd=1.4142135623730951)
    """

    n: int
    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> MeanStd:
        """The spread of at least one value."""
        n, mean = len(values), math.fsum(values) / len(values)
        sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1)) if n > 1 else None
        return cls(n, mean, sd)


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone. `figures`: those of `FIGURES` that any of them has."""

    folders: tuple[Path, ...]
    seeds: tuple[int, ...]
    figures: Mapping[str, MeanStd]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Comparison:
    """Groups in the order in which they were given. `differing`: the keys whose settings are not the same in
    all.
    """

    groups: tuple[Group, ...]
    differing: tuple[str, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "groups": [
                {
                    "folders": [str(folder) for folder in group.folders],
                    "seeds": list(group.seeds),
                    "figures": {name: vars(spread) for name, spread in group.figures.items()},
                    "settings": {key: group.settings.get(key) for key in self.differing},
                }
                for group in self.groups
            ],
            "differing": list(self.differing),
            "notes": list(self.notes),
        }

    def table(self) -> Table:
        """A rich table: a column for each group, a row for each figure and each setting that differs."""
        from rich.table import Table
        from rich.text import Text

        table = Table(caption="\n".join(self.notes) or None, caption_justify="left")
        table.add_column("")
        for group in self.groups:
            more = f" and {len(group.folders) - 1} more" if len(group.folders) > 1 else ""
            table.add_column(Text(group.folders[0].name + more), justify="right", overflow="fold")
        if any(len(group.seeds) > 1 for group in self.groups):
            table.add_row("runs (n)", *(str(len(group.seeds)) for group in self.groups))
        for name, (label, scale, digits) in FIGURES.items():
            spreads = [group.figures.get(name) for group in self.groups]
            if any(spreads):
                table.add_row(label, *(_shown(spread, scale, digits) for spread in spreads))
        table.add_section()
        for key in self.differing:
            table.add_row(Text(key), *(Text(str(group.settings.get(key, "—"))) for group in self.groups))
        return table


def compare(folders: Iterable[Path | str]) -> Comparison:
    """Read the run folders and set them side by side; a folder that is given twice counts once.

    Raises UserError when there is none, or one of them is no run folder.

    >>> print(compare(["artifacts/A", "artifacts/B"]).to_dict())  # doctest: +SKIP
    """
    unique = {Path(folder).resolve(): Path(folder) for folder in folders}
    if not unique:
        raise UserError(
            "compare needs run folders, such as: convscope compare artifacts/A artifacts/B, or networks and "
            "--data"
        )
    records = [read_run(folder) for folder in unique.values()]
    gathered: dict[str, list[RunRecord]] = {}
    for record in records:
        gathered.setdefault(repr(sorted(record.settings.items())), []).append(record)
    groups = tuple(_group(members) for members in gathered.values())
    keys = dict.fromkeys(key for record in records for key in record.settings)
    differing = [
        key for key in keys if len({repr(record.settings.get(key, KeyError)) for record in records}) > 1
    ]
    return Comparison(groups, tuple(differing), tuple(_notes(records, groups)))


def _group(members: Sequence[RunRecord]) -> Group:
    figures = {}
    for name in FIGURES:
        values = [member.figures[name] for member in members if name in member.figures]
        if values:
            figures[name] = MeanStd.of(values)
    folders, seeds = zip(*((member.folder, member.seed) for member in members), strict=True)
    return Group(folders, seeds, figures, members[0].settings)


def _notes(records: Sequence[RunRecord], groups: Sequence[Group]) -> Iterable[str]:
    unfinished = [record.folder.name for record in records if "test_accuracy" not in record.figures]
    if unfinished:
        yield f"no test figures, not finished: {', '.join(unfinished)}"
    if any(len(set(group.seeds)) < len(group.seeds) for group in groups):
        yield "some runs of a column have the same seed: they are no independent runs, and ± is too small"
    if len({record.data for record in records if record.data}) > 1:
        yield "the runs were trained on different data, so their accuracies cannot be compared"
    if len({record.hardware for record in records if record.hardware}) > 1:
        yield "the runs were trained on different hardware or threads, so their times cannot be compared"


def _shown(spread: MeanStd | None, scale: float, digits: int) -> str:
    if spread is None:
        return "—"
    mean = f"{scale * spread.mean:,.{digits}f}"
    some = f" (n={spread.n})" if spread.n > 1 else ""
    return f"{mean} ± {scale * spread.sd:,.{digits}f}{some}" if spread.sd is not None else f"{mean}{some}"
