"""The same run with several seeds: one number is an anecdote, mean ± standard deviation a figure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.progress import Observer
from convscope.experiments.compare import MeanStd
from convscope.training.finalise import Run
from convscope.training.train import train_run


@dataclass(frozen=True)
class Repeated:
    """Finished runs that differ in the seed alone."""

    runs: tuple[Run, ...]

    def mean_std(self, split: str = "test", figure: str = "top1") -> MeanStd:
        """A figure over the runs that have it.

        Args:
            split: "test" or "validation".
            figure: the name of a metric.

        Raises:
            UserError: where no run has it, since none came to its end.
        """
        # A run that was interrupted has opened no test split.
        splits = [getattr(run.metrics, split) for run in self.runs]
        values = [figures[figure] for figures in splits if figures is not None]
        if not values:
            raise UserError(f"no run has {split} figures yet; go on with --resume")
        return MeanStd.of(values)


def repeat(
    config: RunConfig,
    seeds: int,
    *,
    out: Path | None = None,
    resume: bool = False,
    observer: Observer | None = None,
) -> Repeated:
    """Train with `seeds` seeds: that of `config` and those that follow it.

    A run that was interrupted ends the series.

    Args:
        config: of all runs.
        seeds: how many, 1 or more.
        out: the folder of the first run; the others go to `out-2`, ….
        resume: go on with the runs that are there, as `train_run` does.
        observer: is told how every run goes.

    Raises:
        UserError: for fewer than one seed, and for what `train_run` refuses.
    """
    if seeds < 1:
        raise UserError(f"--seeds {seeds} was given; give 1 or more")
    runs = []
    for number in range(seeds):
        # Consecutive seeds: a longer series begins with the runs of a shorter one.
        seeded = replace(config, seed=config.seed + number)
        run = train_run(seeded, out=out, resume=resume, series=True, observer=observer)
        runs.append(run)
        # Ctrl-C is meant for the series, not for one seed.
        if run.status == "interrupted":
            break
    return Repeated(tuple(runs))
