"""What are trained weights worth? Scratch, a linear probe and fine-tuning, with all images and with a tenth.

command   python -m convscope.recipes.transfer_vs_scratch PHOTOS
minutes   about 75 of training on one thread beside other work; a probe alone takes 20 seconds on two
hardware  Intel Xeon with AMX, bfloat16
score     TrashNet, test accuracy, n = 3 (benchmarks/results/transfer.json):

              of 1,817 images       all             182
              scratch          71.4 ± 1.0 %    61.0 ± 3.2 %
              probe            84.8 ± 1.2 %    72.4 ± 1.8 %
              finetune         86.4 ± 0.4 %    74.0 ± 1.1 %

Scratch is `deeper_cnn`, the network for photographs where no weights are wanted; probe and fine-tuning start
from SqueezeNet 1.0. With a tenth of the images scratch and fine-tuning see each five times as often, so that
no mode is short of steps. Leaves a run folder for each of the 18 runs, `transfer.png`, `transfer.md` and
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
from convscope.core.plotting import BLUE, GREY, ORANGE, new_figure, save_figure
from convscope.core.run.progress import Lines
from convscope.experiments.repeat import repeat

MODES = ("scratch", "probe", "finetune")
FRACTIONS = (1.0, 0.1)
# A tenth of the images, five times as often: half the steps of all of them.
EPOCHS = {("scratch", 1.0): 12, ("scratch", 0.1): 60, ("finetune", 1.0): 4, ("finetune", 0.1): 20}


@dataclass(frozen=True)
class Row:
    """One mode with a fraction of the `images`: test accuracies by seed, and mean `seconds` of training."""

    mode: str
    fraction: float
    images: int
    accuracies: tuple[float, ...]
    mean: float
    sd: float
    seconds: float

    @property
    def cell(self) -> str:
        """Mean ± standard deviation, for people."""
        return f"{self.mean:.1%} ± {self.sd:.1%}"


def transfer_vs_scratch(
    data: str | Path, *, out: Path | str, seeds: int = 3, changes: dict[str, Any] | None = None
) -> list[Row]:
    """Train all runs, write chart and tables; runs that are finished are not trained again.

    Args:
        data: photographs, as for `train`.
        out: the folder for everything.
        seeds: runs of each mode and fraction.
        changes: further settings of every run, nested.
    """
    folder = make_folder(Path(out))
    rows = [
        _row(data, mode, fraction, folder=folder, seeds=seeds, changes=changes or {})
        for fraction in FRACTIONS
        for mode in MODES
    ]
    # The chart comes last: if drawing fails, the numbers are safe.
    write_json(folder / "transfer.json", [asdict(row) for row in rows])
    write_bytes(folder / "transfer.md", table(rows).encode())
    chart(rows, folder / "transfer.png")
    return rows


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table, a line for each mode."""
    lines = [
        "| mode | " + " | ".join(f"{fraction:.0%} of the images" for fraction in FRACTIONS) + " |",
        "| --- |" + " --: |" * len(FRACTIONS),
    ]
    cells = {(row.mode, row.fraction): row.cell for row in rows}
    lines += [f"| {mode} | " + " | ".join(cells[mode, f] for f in FRACTIONS) + " |" for mode in MODES]
    return "\n".join(lines) + "\n"


def chart(rows: Sequence[Row], path: Path) -> Path:
    """Bars of mean accuracy with the deviation over seeds as whiskers; each seed is a dot.

    Args:
        rows: every mode with every fraction.
        path: of the PNG file.
    """
    figure = new_figure(7, 4)
    axes = figure.subplots()
    for number, (fraction, colour) in enumerate(zip(FRACTIONS, (BLUE, ORANGE), strict=True)):
        some = [row for row in rows if row.fraction == fraction]
        # Two bars of 0.36, 0.4 apart, are centred on each tick.
        at = [MODES.index(row.mode) + 0.4 * (number - 0.5) for row in some]
        label = f"{fraction:.0%} of the training images ({some[0].images:,})"
        means, deviations = [100 * row.mean for row in some], [100 * row.sd for row in some]
        axes.bar(at, means, 0.36, yerr=deviations, color=colour, ecolor=GREY, capsize=4, label=label)
        for x, row in zip(at, some, strict=True):
            seeds = [100 * accuracy for accuracy in row.accuracies]
            axes.plot([x] * len(seeds), seeds, ".", color="black", ms=4)
            # Below the whisker, inside the bar, where nothing else is drawn.
            text, y = f"{100 * row.mean:.1f}", 100 * (row.mean - row.sd) - 2
            axes.text(x, y, text, ha="center", va="top", color="white")
    axes.set_xticks(range(len(MODES)), MODES)
    # Bars that start above 0 exaggerate differences.
    axes.set_ylim(0, 100)
    axes.set_ylabel("test accuracy, %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return save_figure(figure, path)


def _row(
    data: str | Path, mode: str, fraction: float, *, folder: Path, seeds: int, changes: dict[str, Any]
) -> Row:
    config = RunConfig.from_dict(
        {"data": {"source": str(data), "train_fraction": fraction}, "transfer": {"mode": mode}}
    )
    # A probe keeps its default of 40, which take a second.
    config = config.merge({"train": {"epochs": EPOCHS.get((mode, fraction))}}).merge(changes)
    with Lines() as observer:
        observer.say(f"\n{mode} with {fraction:.0%} of the training images")
        out = folder / f"{mode}_{100 * fraction:.0f}"
        repeated = repeat(config, seeds, out=out, resume=True, observer=observer)
    runs = repeated.runs
    accuracies = tuple(run.metrics.test["top1"] for run in runs if run.metrics.test is not None)
    # Ctrl-C ends a series early, and is then meant for the whole experiment.
    if len(accuracies) < seeds:
        raise KeyboardInterrupt
    accuracy = repeated.mean_std()
    return Row(
        mode=mode,
        fraction=fraction,
        images=runs[0].metrics.images["train"],
        accuracies=accuracies,
        mean=accuracy.mean,
        sd=accuracy.sd or 0.0,
        seconds=statistics.fmean(run.metrics.seconds for run in runs),
    )


def main() -> None:
    """`python -m convscope.recipes.transfer_vs_scratch PHOTOS [OUT]`."""
    import sys

    if len(sys.argv) < 2:
        sys.exit("give the photographs: python -m convscope.recipes.transfer_vs_scratch PHOTOS [OUT]")
    out = sys.argv[2] if len(sys.argv) > 2 else "artifacts/transfer_vs_scratch"
    sys.stdout.write(table(transfer_vs_scratch(sys.argv[1], out=out)))


if __name__ == "__main__":
    main()
