"""The same run with several seeds: one number is an anecdote."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from pathlib import Path

from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.run.display import Display
from convscope.training.finalise import Run
from convscope.training.train import train_run


@dataclass(frozen=True)
class Repeated:
    """Finished runs that differ in the seed alone."""

    runs: tuple[Run, ...]

    def spread(self, split: str = "test", figure: str = "top1") -> tuple[float, float]:
        """Mean and sample standard deviation of a figure over the runs that have it; with one run the
        deviation is 0.

        Raises UserError where no run has it, since none came to its end.
        """
        values = [run.metrics[split][figure] for run in self.runs if split in run.metrics]
        if not values:
            raise UserError(f"no run has {split} figures yet; go on with --resume")
        return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def repeat(
    config: RunConfig,
    seeds: int,
    *,
    out: Path | None = None,
    resume: bool = False,
    display: Display | None = None,
) -> Repeated:
    """Train with `seeds` seeds: that of `config` and those that follow it. A run that was interrupted ends
    the series.

    With `out`, the runs go to `out`, `out-2`, …. Raises UserError for fewer than one seed.
    """
    if seeds < 1:
        raise UserError(f"--seeds {seeds} was given; give 1 or more")
    runs = []
    for number in range(seeds):
        seeded = replace(config, seed=config.seed + number)
        run = train_run(seeded, out=out, resume=resume, series=True, display=display)
        runs.append(run)
        if run.status == "interrupted":
            break
    return Repeated(tuple(runs))
