"""What are trained weights worth? Scratch, a head and fine-tuning, with all and with a tenth of the training
images.

command   python -m convscope.recipes.transfer_vs_scratch PHOTOS
minutes   about 75 of training on one thread beside other work; a head alone takes 20 seconds on two
hardware  Intel Xeon with AMX, bfloat16
score     TrashNet, test accuracy, n = 3 (benchmarks/results/transfer.json):

              of 1,817 images       all             182
              scratch          71.4 ± 1.0 %    61.0 ± 3.2 %
              head             84.8 ± 1.2 %    72.4 ± 1.8 %
              finetune         86.4 ± 0.4 %    74.0 ± 1.1 %

Scratch is `deeper_cnn`, the network for photographs where no weights are wanted; head and fine-tuning start
from SqueezeNet 1.0. With a tenth of the images scratch and fine-tuning see each five times as often, so that
no way is short of steps. Leaves a run folder for each of the 18 runs, `transfer.png`, `transfer.md` and
`transfer.json`; started again, it goes on where it was stopped.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convscope.core.atomic import make_folder, write_bytes, write_json
from convscope.core.config import RunConfig
from convscope.core.plotting import BLUE, GREY, ORANGE
from convscope.core.run.progress import Lines
from convscope.experiments.repeat import repeat

WAYS = ("scratch", "probe", "finetune")
SHARES = (1.0, 0.1)
EPOCHS = {("scratch", 1.0): 12, ("scratch", 0.1): 60, ("finetune", 1.0): 4, ("finetune", 0.1): 20}


@dataclass(frozen=True)
class Row:
    """One way with one share of the images: test accuracies by seed, mean, deviation, and mean seconds of
    training.
    """

    way: str
    share: float
    images: int
    accuracies: tuple[float, ...]
    mean: float
    sd: float
    seconds: float


def transfer_vs_scratch(
    data: str | Path, *, out: Path | str, seeds: int = 3, changes: dict[str, Any] | None = None
) -> list[Row]:
    """Train all runs (`changes`: further settings for each of them), write picture and tables to `out`.

    Raises what training raises; runs that are finished are not trained again.
    """
    folder = make_folder(Path(out))
    rows = [
        _row(data, way, share, folder=folder, seeds=seeds, changes=changes or {})
        for share in SHARES
        for way in WAYS
    ]
    write_json(folder / "transfer.json", [asdict(row) for row in rows])
    write_bytes(folder / "transfer.md", table(rows).encode())
    picture(rows, folder / "transfer.png")
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, a line for each way."""
    lines = [
        "| way | " + " | ".join(f"{share:.0%} of the images" for share in SHARES) + " |",
        "| --- |" + " --: |" * len(SHARES),
    ]
    for way in WAYS:
        cells = [_cell(row) for share in SHARES for row in rows if (row.way, row.share) == (way, share)]
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def picture(rows: Sequence[Row], path: Path) -> Path:
    """Bars of mean accuracy with the deviation over seeds as whiskers; each seed is a dot."""
    from io import BytesIO

    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    for number, (share, colour) in enumerate(zip(SHARES, (BLUE, ORANGE), strict=True)):
        some = [row for row in rows if row.share == share]
        places = [WAYS.index(row.way) + 0.4 * (number - 0.5) for row in some]
        label = f"{share:.0%} of the training images ({some[0].images:,})"
        means, deviations = [100 * row.mean for row in some], [100 * row.sd for row in some]
        axes.bar(places, means, 0.36, yerr=deviations, color=colour, ecolor=GREY, capsize=4, label=label)
        for place, row in zip(places, some, strict=True):
            axes.plot(
                [place] * len(row.accuracies), [100 * a for a in row.accuracies], ".", color="black", ms=4
            )
            axes.text(
                place,
                100 * (row.mean - row.sd) - 2,
                f"{100 * row.mean:.1f}",
                ha="center",
                va="top",
                color="white",
            )
    axes.set_xticks(range(len(WAYS)), WAYS)
    axes.set_ylim(0, 100)
    axes.set_ylabel("test accuracy, %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    png = BytesIO()
    figure.savefig(png, format="png")
    write_bytes(path, png.getvalue())
    return path


def _row(
    data: str | Path, way: str, share: float, *, folder: Path, seeds: int, changes: dict[str, Any]
) -> Row:
    config = RunConfig.from_dict(
        {"data": {"source": str(data), "train_fraction": share}, "transfer": {"mode": way}}
    )
    config = config.merge({"train": {"epochs": EPOCHS.get((way, share))}}).merge(changes)
    with Lines() as observer:
        observer.say(f"\n{way} with {share:.0%} of the training images")
        runs = repeat(
            config, seeds, out=folder / f"{way}_{share:.0%}".rstrip("%"), resume=True, observer=observer
        ).runs
    accuracies = tuple(run.metrics.test["top1"] for run in runs if run.metrics.test is not None)
    if len(accuracies) < seeds:
        raise KeyboardInterrupt
    return Row(
        way=way,
        share=share,
        images=runs[0].metrics.images["train"],
        accuracies=accuracies,
        mean=statistics.fmean(accuracies),
        sd=statistics.stdev(accuracies) if seeds > 1 else 0.0,
        seconds=statistics.fmean(run.metrics.seconds for run in runs),
    )


def _cell(row: Row) -> str:
    return f"{row.mean:.1%} ± {row.sd:.1%}"


def main() -> None:
    """`python -m convscope.recipes.transfer_vs_scratch PHOTOS [OUT]`."""
    import sys

    if len(sys.argv) < 2:
        sys.exit("give the photographs: python -m convscope.recipes.transfer_vs_scratch PHOTOS [OUT]")
    rows = transfer_vs_scratch(
        sys.argv[1], out=sys.argv[2] if len(sys.argv) > 2 else "artifacts/transfer_vs_scratch"
    )
    sys.stdout.write(table(rows))


if __name__ == "__main__":
    main()
