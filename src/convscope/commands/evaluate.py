"""`convscope evaluate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from convscope.commands.output import console, counted, write_json

if TYPE_CHECKING:
    from rich.table import Table

    from convscope.evaluation.evaluate import Evaluation
    from convscope.evaluation.robustness.measure import Robustness

# Unreadable files that are named; a broken download may have thousands.
EXAMPLES = 5
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
    from convscope.commands.terminal import Terminal
    from convscope.evaluation.evaluate import evaluate as measure

    with Terminal(quiet=json) as terminal:
        if report:
            from convscope.report.write import write_report

            page = write_report(run, data, split=split, model=model, out=out, progress=terminal.progress)
            evaluation = page.evaluation
        else:
            evaluation = measure(
                run,
                data,
                split=split,
                model=model,
                out=out,
                robustness=robustness,
                progress=terminal.progress,
            )
    if json:
        write_json(page.to_dict() if report else evaluation.to_dict())
        return
    _print(evaluation)
    if report:
        console().print(f"report: {page.path}", soft_wrap=True)


def _print(evaluation: Evaluation) -> None:
    screen = console()
    # A task without a table has its lines.
    if rows := evaluation.result.table():
        screen.print(_table(rows))
    # Unreadable files come before the accuracy, which leaves them out.
    for line in (*_unread(evaluation), *evaluation.result.lines(f"{evaluation.data}, {evaluation.split}")):
        screen.print(line, soft_wrap=True)
    if evaluation.robustness is not None:
        screen.print()
        screen.print(robustness_table(evaluation.robustness, narrow=screen.width < ROOMY))
        images = counted(evaluation.robustness.images, "image")
        clean, mean = evaluation.robustness.clean, evaluation.robustness.mean
        screen.print(f"{images}: {clean:.1%} clean, {mean:.1%} on average when damaged")
    screen.print(f"predictions and pictures: {evaluation.folder}", soft_wrap=True)


def _unread(evaluation: Evaluation) -> Iterator[str]:
    for name, reason in evaluation.failed[:EXAMPLES]:
        yield f"cannot be read, and not counted: {name}: {reason}"
    if len(evaluation.failed) > EXAMPLES:
        yield f"… and {len(evaluation.failed) - EXAMPLES:,} more that cannot be read"


def _table(rows: Sequence[tuple[str, ...]]) -> Table:
    """The rows under their header, the first; the first column is text, the others are numbers."""
    from rich.table import Table

    header, *body = rows
    table = Table(title=None, box=None, header_style="bold")
    table.add_column(header[0], overflow="fold")
    # Folded and not cut: long class names may differ only at their ends.
    for name in header[1:]:
        table.add_column(name, justify="right", overflow="fold", min_width=6)
    for row in body:
        table.add_row(*row)
    return table


def robustness_table(robustness: Robustness, *, narrow: bool = False) -> Table:
    """A rich table: a row for each corruption, a column for each strength, in per cent.

    Args:
        robustness: what is shown.
        narrow: without what the strengths are, and without decimals, for few columns.
    """
    from rich.table import Table

    from convscope.evaluation.robustness.corruptions import corruptions
    from convscope.evaluation.robustness.measure import STRENGTHS

    table = Table(box=None, header_style="bold")
    table.add_column(f"{robustness.score}, %", overflow="fold")
    for strength in ("clean", *map(str, STRENGTHS)):
        table.add_column(strength, justify="right", no_wrap=True)
    # The units are the widest column, and the first that a reader can do without.
    if not narrow:
        table.add_column("strength is in", style="dim")
    for name, scores in robustness.by_strength().items():
        kind = corruptions[name]
        amounts = "  ".join(f"{amount:g}" for amount in kind.amounts)
        unit = [] if narrow else [f"{kind.unit}: {amounts}"]
        # One of 1,000 images is 0.1 %: more decimals would be noise.
        table.add_row(name, *(f"{100 * score:.{0 if narrow else 1}f}" for score in scores), *unit)
    return table
