"""Runs side by side: their figures, and only those settings in which they differ.

Runs that differ in their seed alone are one column, with mean ± standard deviation. The columns keep the
order of the arguments and none is called the best: who chooses by test accuracy has used the test split for
training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convscope.core.errors import UserError
from convscope.core.run.record import RunRecord, read_run

if TYPE_CHECKING:
    from rich.table import Table

# Name: what a person reads, the factor to its unit, and how many digits.
# Two digits of a percentage: of 10,000 test images one is 0.01 %.
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
        """Mean and deviation of at least one value."""
        # fsum rounds once, so that the order of the runs does not change a digit.
        n, mean = len(values), math.fsum(values) / len(values)
        # n − 1 (Bessel): for 3 seeds a division by n would give 18 % less.
        sd = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1)) if n > 1 else None
        return cls(n, mean, sd)

    def text(self, scale: float = 1.0, digits: int = 2) -> str:
        """Mean ± standard deviation for people, times `scale` and with so many digits.

        >>> MeanStd.of([0.91, 0.93]).text(100), MeanStd.of([61_706]).text(digits=0)
        ('92.00 ± 1.41', '61,706')
        """
        mean = f"{scale * self.mean:,.{digits}f}"
        return mean if self.sd is None else f"{mean} ± {scale * self.sd:,.{digits}f}"


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone. `figures`: those of `FIGURES` that any of them has."""

    folders: tuple[Path, ...]
    seeds: tuple[int, ...]
    figures: Mapping[str, MeanStd]
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The name of the first folder, and how many others there are."""
        more = len(self.folders) - 1
        return self.folders[0].name + (f" and {more} more" if more else "")

    def cell(self, figure: str) -> str:
        """A figure for people, with the number of runs where there are several."""
        mean_std = self.figures.get(figure)
        if mean_std is None:
            return "—"
        _, scale, digits = FIGURES[figure]
        return mean_std.text(scale, digits) + (f" (n={mean_std.n})" if mean_std.n > 1 else "")


@dataclass(frozen=True)
class Comparison:
    """Groups in the order of their first runs. `differing`: the settings that are not the same in all."""

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
                    "figures": {name: vars(mean_std) for name, mean_std in group.figures.items()},
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
            # Text and not str: rich would read square brackets in a name as markup.
            table.add_column(Text(group.name), justify="right", overflow="fold")
        for row in self._figure_rows():
            table.add_row(*row)
        table.add_section()
        for key in self.differing:
            table.add_row(Text(key), *(Text(str(group.settings.get(key, "—"))) for group in self.groups))
        return table

    def _figure_rows(self) -> Iterator[list[str]]:
        if any(len(group.seeds) > 1 for group in self.groups):
            yield ["runs (n)", *(str(len(group.seeds)) for group in self.groups)]
        for name, (label, _, _) in FIGURES.items():
            if any(name in group.figures for group in self.groups):
                yield [label, *(group.cell(name) for group in self.groups)]


def compare(folders: Iterable[Path | str]) -> Comparison:
    """Read the run folders and set them side by side; a folder that is named twice counts once.

    Raises UserError when there is none, or one of them is no run folder.

    >>> print(compare(["artifacts/A", "artifacts/B"]).to_dict())  # doctest: +SKIP
    """
    # By the real path: one run under two paths would count twice, and make ± too small.
    unique = {Path(folder).resolve(): Path(folder) for folder in folders}
    if not unique:
        raise UserError(
            "compare needs run folders, such as: convscope compare artifacts/A artifacts/B, or networks and "
            "--data"
        )
    records = [read_run(folder) for folder in unique.values()]
    by_settings: dict[str, list[RunRecord]] = {}
    for record in records:
        # A setting may be a list, which cannot be hashed; its repr can.
        by_settings.setdefault(repr(sorted(record.settings.items())), []).append(record)
    groups = tuple(_group(members) for members in by_settings.values())
    return Comparison(groups, _differing(records), tuple(_notes(records, groups)))


def _differing(records: Sequence[RunRecord]) -> tuple[str, ...]:
    # A dict keeps the order of the configuration; a set of strings has another order in each process.
    keys = dict.fromkeys(key for record in records for key in record.settings)
    # repr tells 1 from 1.0 and from True, and a key that is missing from one that is None.
    values = {key: {repr(record.settings.get(key, KeyError)) for record in records} for key in keys}
    return tuple(key for key in keys if len(values[key]) > 1)


def _group(members: Sequence[RunRecord]) -> Group:
    figures = {}
    for name in FIGURES:
        # An unfinished run has fewer figures, so that n may differ from row to row.
        values = [member.figures[name] for member in members if name in member.figures]
        if values:
            figures[name] = MeanStd.of(values)
    folders, seeds = zip(*((member.folder, member.seed) for member in members), strict=True)
    return Group(folders, seeds, figures, members[0].settings)


def _notes(records: Sequence[RunRecord], groups: Sequence[Group]) -> Iterator[str]:
    unfinished = [record.folder.name for record in records if "test_accuracy" not in record.figures]
    if unfinished:
        yield f"no test figures, not finished: {', '.join(unfinished)}"
    if any(len(set(group.seeds)) < len(group.seeds) for group in groups):
        yield "some runs of a column have the same seed: they are no independent runs, and ± is too small"
    if _several(record.data for record in records):
        yield "the runs were trained on different data, so their accuracies cannot be compared"
    if _several(record.hardware for record in records):
        yield "the runs were trained on different hardware or threads, so their times cannot be compared"


def _several(values: Iterable[str | None]) -> bool:
    """Whether two of the values differ; a run without a bundle has none."""
    return len({value for value in values if value}) > 1
