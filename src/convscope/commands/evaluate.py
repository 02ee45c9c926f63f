"""`convscope evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from convscope.commands.shown import console, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from convscope.evaluation.evaluate import Evaluation

EXAMPLES = 5


def evaluate(
    run: Path,
    *,
    data: str | None = None,
    split: Literal["train", "validation", "test"] = "test",
    model: str | None = None,
    out: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Measure a trained network; write figures, every prediction and the confusion matrix to files.

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
    json
        Print JSON instead of a table.
    """
    from convscope.evaluation.evaluate import evaluate as measure
    from convscope.training.progress import Display

    with Display(quiet=json) as display:
        result = measure(run, data, split=split, model=model, out=out, tell=display.work)
    if json:
        write_json(result.to_dict())
        return
    screen = console()
    metrics = result.metrics
    top5 = "" if metrics.top5 is None else f"   top-5 {metrics.top5:.2%}"
    screen.print(_table(result))
    for note in metrics.notes:
        screen.print(f"note: {note}")
    for name, reason in result.failed[:EXAMPLES]:
        screen.print(f"cannot be read, and not counted: {name}: {reason}", soft_wrap=True)
    if len(result.failed) > EXAMPLES:
        screen.print(f"… and {len(result.failed) - EXAMPLES:,} more that cannot be read")
    figures = f"accuracy {metrics.top1:.2%}{top5}   macro-F1 {metrics.macro_f1:.3f}   loss {metrics.loss:.3f}"
    screen.print(f"{result.data}, {result.split}, {metrics.images:,} images: {figures}", soft_wrap=True)
    screen.print(f"predictions and pictures: {result.folder}", soft_wrap=True)


def _table(result: Evaluation) -> Table:
    from rich.table import Table

    table = Table(title=None, box=None, header_style="bold")
    table.add_column("class", no_wrap=True)
    for name in ("images", "precision", "recall", "F1"):
        table.add_column(name, justify="right")
    for score in result.metrics.per_class:
        figures = (score.precision, score.recall, score.f1)
        table.add_row(score.name, f"{score.support:,}", *("–" if f is None else f"{f:.3f}" for f in figures))
    return table
