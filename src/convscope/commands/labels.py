"""`convscope labels`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from convscope.commands.output import console, counted, current_names, write_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from convscope.label_audit.label_report import LabelReport

# Rows of the table, a screenful; the sheet has --top images and labels.csv all.
SHOWN = 20


@Parameter(name="*")
@dataclass(frozen=True)
class LabelOptions:
    """The options of `convscope labels`."""

    model: str | None = None
    """A name from `convscope summary`, or FILE.py:CLASS for a network of your own. Left out, the data decide.
    """

    mode: Literal["probe", "finetune", "scratch", "head"] | None = None
    """With trained weights: learn a head on their features (probe), everything (finetune), or ignore them
    (scratch).
    """

    split: Literal["train", "validation", "test"] = "train"
    """Which official split is checked; of data that are not split, train is all of it."""

    # 5 trainings, each on 80 % of the images; 10 on 90 % take more than twice as long.
    folds: int = 5
    """Into how many parts the images are divided; each is predicted by a network trained on the others."""

    top: int = 40
    """Images on the sheet, most suspicious first."""

    seed: int | None = None
    """Decides every random choice: the same seed finds the same labels on the same machine."""

    out: Path | None = None
    """The folder. Left out: artifacts/labels_DATA, with -2, -3, … where other settings took
    that.
    """

    config: Path | None = None
    """A TOML file with sections data, model, transfer, augment and train."""

    settings: Annotated[tuple[str, ...], Parameter(name="--set", negative="")] = ()
    """One setting, such as --set train.epochs=8; may be given again and again."""

    json: Annotated[bool, Parameter(negative="")] = False
    """Print the whole report as JSON."""


def labels(data: str, *, options: LabelOptions = LabelOptions()) -> None:
    """Find images whose labels are probably wrong, by networks that were not trained on them.

    A table, labels.csv, labels.json and a sheet of images are made. Nothing is changed or deleted. The same
    command again goes on where it was stopped.

    Parameters
    ----------
    data
        A name (fashion_mnist, mnist, cifar10, cifar100) or a path (class folders, CSV, IDX, NPZ, Parquet).
    options
        Everything else; each has its own help.
    """
    # Here, since NumPy and pydantic take time to import and --help needs neither.
    from convscope.commands.terminal import Terminal
    from convscope.core.config import RunConfig
    from convscope.core.settings import parse_settings, read_toml
    from convscope.label_audit.audit import check_labels

    asked: dict[str, Any] = {
        "data": {"source": data},
        "model": {} if options.model is None else {"name": options.model},
        "transfer": {} if options.mode is None else {"mode": options.mode},
    } | ({} if options.seed is None else {"seed": options.seed})
    # Each layer over the one before.
    config = RunConfig()
    for layer in (
        read_toml(options.config) if options.config else {},
        asked,
        parse_settings(list(options.settings)),
    ):
        config = config.merge(current_names(layer))
    report = check_labels(
        config,
        split=options.split,
        folds=options.folds,
        top=options.top,
        out=options.out,
        # Lines of progress would be no JSON.
        observer=Terminal(quiet=options.json),
    )
    if options.json:
        write_json(report.to_dict())
    else:
        _show(report, console())


def _show(report: LabelReport, screen: Console) -> None:
    from convscope.label_audit.audit import SHEET_FILE, TABLE_FILE

    # First, since a wrong label is certain here and only an estimate below.
    if report.conflicts:
        screen.print("\none picture, several labels: at least one is wrong", style="bold", soft_wrap=True)
        screen.print(_conflicts(report))
    if report.issues:
        screen.print("\nlabel issues, most suspicious first", style="bold", soft_wrap=True)
        screen.print(_issues(report))
    more = max(0, len(report.issues) - SHOWN) + max(0, len(report.conflicts) - SHOWN)
    if more:
        screen.print(f"… and {more:,} more in {TABLE_FILE}")
    # The fraction is the estimate of confident learning: https://arxiv.org/abs/1911.00068, section 3.
    lines = [
        f"{report.data}, {report.split}, {counted(report.images, 'image')}: "
        f"{counted(len(report.conflicts), 'picture')} under several labels, "
        f"{counted(len(report.issues), 'more label issue')}; "
        f"by estimate {report.wrong_fraction:.1%} of all labels are wrong",
        f"networks that never saw an image predicted its label for {report.accuracy:.1%}; the less that is, "
        "the more of the label issues are only hard",
    ]
    if report.conflicts or report.issues:
        lines += [
            f"look at them: {report.folder / SHEET_FILE}, all: {report.folder / TABLE_FILE}",
            report.advice,
        ]
    for line in lines:
        screen.print(line, soft_wrap=True)


def _table(*columns: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        # A figure that is cut is worse than none; a name may take two lines.
        numeric = column.startswith("p(")
        table.add_column(column, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric)
    return table


def _conflicts(report: LabelReport) -> Table:
    from rich.text import Text

    table = _table("images and their labels", "likeliest", "p(likeliest)")
    for conflict in report.conflicts[:SHOWN]:
        pairs = zip(conflict.names, conflict.labels, strict=True)
        images = Text("\n".join(f"{name}: {label}" for name, label in pairs))
        table.add_row(images, Text(conflict.suggested), f"{conflict.p_suggested:.3f}")
    return table


def _issues(report: LabelReport) -> Table:
    from rich.text import Text

    table = _table("image", "label", "suggested", "p(label)", "p(suggested)")
    for issue in report.issues[:SHOWN]:
        # Text, because a class may be called [bold] and rich would read that as a style.
        texts = (Text(issue.name), Text(issue.label), Text(issue.suggested))
        table.add_row(*texts, f"{issue.p_label:.3f}", f"{issue.p_suggested:.3f}")
    return table
