"""`convscope train --check`: questions to ask before a long training."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from convscope.commands.terminal import Terminal
from convscope.core.config import RunConfig
from convscope.core.errors import Failure
from convscope.core.plotting import save_figure
from convscope.training.checks import OVERFIT_STEPS, find_rate, overfit_one_batch
from convscope.training.engine import TrainingSession
from convscope.training.plots import rate_curve
from convscope.training.prepare_run import prepare_run

# With label smoothing the loss of a memorised batch stays above 0.
PLAIN = {"train": {"label_smoothing": 0.0, "imbalance": "none", "accumulate": 1, "ema": 0.0}}
"""Whatever would change the loss for other reasons than learning is left out."""


def run_check(config: RunConfig, check: Literal["lr", "overfit"], out: Path | None) -> None:
    """Run one check and say what it found. No run folder is made.

    Args:
        config: of the training that is asked about.
        check: "lr" looks for a learning rate, "overfit" trains on one batch.
        out: a PNG file, or a folder, for the curve of "lr"; None draws none.

    Raises:
        Failure: no rate lowers the loss, or one batch was not memorised.
    """
    # A session wants a folder; this one goes with the check.
    with tempfile.TemporaryDirectory() as scratch, Terminal() as terminal:
        session = prepare_run(config.merge(PLAIN), Path(scratch), observer=terminal)
        if check == "lr":
            _check_rate(session, out, terminal)
        else:
            _check_overfit(session, terminal)


def _check_rate(session: TrainingSession, out: Path | None, terminal: Terminal) -> None:
    # Learning rate range test: Smith 2015, section 3.3, https://arxiv.org/abs/1506.01186.
    search = find_rate(session, terminal.progress)
    rate = search.suggestion
    terminal.say(f"suggested peak learning rate {rate:g}: --set train.lr={rate:g}")
    if out:
        # A folder need not exist yet, so only the ending tells the two apart.
        picture = out if out.suffix.lower() == ".png" else out / "learning_rate.png"
        save_figure(rate_curve(search.rates, search.losses, best=rate), picture)
        terminal.say(f"curve: {picture}")


def _check_overfit(session: TrainingSession, terminal: Terminal) -> None:
    rate = session.plan.config.train.lr
    # A network that cannot memorise one batch often has a bug: https://karpathy.github.io/2019/04/25/recipe/.
    overfit = overfit_one_batch(session, rate, terminal.progress)
    first, last = overfit.losses[0], overfit.losses[-1]
    if not overfit.memorised:
        raise Failure(
            f"one batch was not memorised in {OVERFIT_STEPS} steps: loss {first:.3f} → {last:.3f} with rate "
            f"{rate:g}; look for a rate with --check lr, then at labels and normalisation"
        )
    terminal.say(f"one batch is memorised: loss {first:.3f} → {last:.3f} in {len(overfit.losses)} steps")
