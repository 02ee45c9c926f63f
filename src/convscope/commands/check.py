"""`convscope train --check`: questions to ask before a long training."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from convscope.core.config import RunConfig
from convscope.core.errors import Failure
from convscope.core.plotting import save_figure
from convscope.core.run.display import Display
from convscope.training.defaults import settle
from convscope.training.plots import rate_curve
from convscope.training.prepare_data import prepare_data
from convscope.training.pytorch.checkpoint import State
from convscope.training.pytorch.loop import Job
from convscope.training.pytorch.overfit import STEPS, overfit_one_batch
from convscope.training.pytorch.rate_finder import find_rate
from convscope.training.train import open_data, start_or_resume

PLAIN = {"train": {"label_smoothing": 0.0, "imbalance": "none", "accumulate": 1, "ema": 0.0}}


def run_check(config: RunConfig, check: Literal["lr", "overfit"], out: Path | None) -> None:
    """Run one check and say what it found. No run folder is made; the curve of "lr" goes to `out` where
    given.
    """
    with tempfile.TemporaryDirectory() as scratch, Display() as display:
        plain = config.merge(PLAIN)
        source, choice = open_data(plain, display)
        plain = settle(plain, choice, source)
        folder = Path(scratch)
        prepared = prepare_data(source, choice, plain.data, seed=plain.seed, folder=folder, display=display)
        session = start_or_resume(plain, prepared, choice.start, folder=folder, display=display)
        job, state = session.job, session.state
        _rate(job, state, out, display) if check == "lr" else _overfit(job, state, job.config.lr, display)


def _rate(job: Job, state: State, out: Path | None, display: Display) -> None:
    found = find_rate(job, state)
    display.say(f"suggested peak learning rate {found.suggestion:g}: --set train.lr={found.suggestion:g}")
    if out:
        picture = out if out.suffix.lower() == ".png" else out / "learning_rate.png"
        save_figure(rate_curve(found.rates, found.losses, best=found.suggestion), picture)
        display.say(f"curve: {picture}")


def _overfit(job: Job, state: State, rate: float, display: Display) -> None:
    found = overfit_one_batch(job, state, rate=rate)
    first, last = found.losses[0], found.losses[-1]
    if not found.learnt:
        raise Failure(
            f"one batch was not learnt by heart in {STEPS} steps: loss {first:.3f} → {last:.3f} with rate "
            f"{rate:g}; "
            "look for a rate with --check lr, then at labels and normalisation"
        )
    display.say(f"one batch is learnt by heart: loss {first:.3f} → {last:.3f} in {len(found.losses)} steps")
