"""`convscope evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from convscope.commands.output import console, counted, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from convscope.evaluation.evaluate import Evaluation

EXAMPLES = 5
SLICES = 3
ROOMY = 76
"""Columns of a terminal that the whole table of robustness takes."""


def evaluate(
    run: Path,
    *,
    data: str | None = None,
    split: Literal["train", "validation", "test"] = "test",
    model: str | None = None,
    out: Path | None = None,
    robustness: Annotated[bool, Parameter(negative="")] = False,
    report: Annotated[bool, Parameter(negative="")] = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Measure a trained network and how far to trust it; write figures, every prediction and pictures to
    files.

    Parameters
    ----------
    run
        A run folder or a bundle file.
    data
        Other images with the same class names; left out, those of the run.
    split
        Which part of the data; of data that are not split, all of it.
    model
        FILE.py:CLASS, for a network of your own.
    out
        Where the files go; left out, evaluation/ in the run folder, or evaluation_DATA/ for other images.
    robustness
        Also measure up to 1,000 of the images (200 photographs) under noise, blur and six other kinds of
        damage.
    report
        Also write all of it, and what the network looks at, to one HTML page that opens anywhere.
    json
        Print JSON instead of a table.
    """
    from convscope.core.run.display import Display
    from convscope.evaluation.evaluate import evaluate as measure
    from convscope.evaluation.robustness.measure import robustness_table

    with Display(quiet=json) as display:
        if report:
            from convscope.report.write import write_report

            page = write_report(run, data, split=split, model=model, out=out, tell=display.work)
            result = page.evaluation
        else:
            result = measure(
                run, data, split=split, model=model, out=out, robustness=robustness, tell=display.work
            )
    if json:
        write_json(page.to_dict() if report else result.to_dict())
        return
    screen = console()
    screen.print(_table(result))
    for line in _lines(result):
        screen.print(line, soft_wrap=True)
    if result.robustness is not None:
        screen.print()
        screen.print(robustness_table(result.robustness, narrow=screen.width < ROOMY))
        clean, mean = result.robustness.clean, result.robustness.mean
        screen.print(
            f"{counted(result.robustness.images, 'image')}: {clean:.1%} clean, {mean:.1%} on average when "
            f"damaged"
        )
    screen.print(f"predictions and pictures: {result.folder}", soft_wrap=True)
    if report:
        screen.print(f"report: {page.path}", soft_wrap=True)


def _lines(result: Evaluation) -> Iterator[str]:
    """What is said below the table: what is not counted, the figures with their intervals, and where it
    fails.
    """
    metrics, found = result.metrics, result.findings
    yield from (f"note: {note}" for note in metrics.notes)
    for name, reason in result.failed[:EXAMPLES]:
        yield f"cannot be read, and not counted: {name}: {reason}"
    if len(result.failed) > EXAMPLES:
        yield f"… and {len(result.failed) - EXAMPLES:,} more that cannot be read"
    low, high = found.intervals["top1"]
    top5 = "" if metrics.top5 is None else f"   top-5 {metrics.top5:.2%}"
    figures = f"accuracy {metrics.top1:.2%} (95 % interval {low:.1%} to {high:.1%}){top5}"
    rest = f"macro-F1 {metrics.macro_f1:.3f}   loss {metrics.loss:.3f}"
    yield f"{result.data}, {result.split}, {counted(metrics.images, 'image')}: {figures}   {rest}"
    sure = found.calibration
    yield (
        f"calibration error (ECE) {sure.ece:.2%}, {found.uncalibrated.ece:.2%} without the temperature "
        f"{result.decision.temperature:g}; chance alone gives up to {sure.chance:.2%}"
    )
    if found.selective.threshold is not None:
        kept = (
            ""
            if found.selective.risk is None
            else f"; of the others {1 - found.selective.risk:.2%} are right"
        )
        yield f"answered unknown: {1 - found.selective.coverage:.1%}{kept}"
    yield from (f"fails more often on {weak}" for weak in found.slices[:SLICES])


def _table(result: Evaluation) -> Table:
    from rich.table import Table

    table = Table(title=None, box=None, header_style="bold")
    table.add_column("class", overflow="fold")
    for name in ("images", "precision", "recall", "F1"):
        table.add_column(name, justify="right", overflow="fold", min_width=6)
    for score in result.metrics.per_class:
        figures = (score.precision, score.recall, score.f1)
        table.add_row(score.name, f"{score.support:,}", *("–" if f is None else f"{f:.3f}" for f in figures))
    return table
