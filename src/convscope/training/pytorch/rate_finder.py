"""Which learning rate? Raise it until the loss blows up, and stay below that."""

from __future__ import annotations

import math
from dataclasses import dataclass

from convscope.core.errors import Failure
from convscope.training.pytorch.checkpoint import State
from convscope.training.pytorch.loop import Job
from convscope.training.pytorch.single_step import take_step

LOWEST, HIGHEST, STEPS = 1e-5, 10.0, 100
SMOOTHING = 0.9
BLOWN_UP = 4.0


@dataclass(frozen=True)
class RateSearch:
    """Smoothed losses over learning rates, and the peak rate that is suggested."""

    rates: list[float]
    losses: list[float]
    suggestion: float


def find_rate(job: Job, state: State) -> RateSearch:
    """Raise the learning rate from 1e-5 to 10 over 100 batches and watch the loss (Smith 2015, arXiv
    1506.01186).

    The suggestion is a third of the rate at which the smoothed loss is lowest: there it is about to get
    worse. The search ends when the loss is four times its lowest. Raises Failure when no rate lowers the
    loss. The weights of `state` are spent afterwards.
    """
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    for step in range(STEPS):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1))
        epoch, batch = divmod(step, len(job.loader))
        loss = take_step(job, state, next(job.loader.epoch(epoch, start=batch)), rate=rate)
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        smooth = average / (1 - SMOOTHING ** (step + 1))
        if not math.isfinite(loss) or (losses and smooth > BLOWN_UP * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
        job.display.work("learning rate", step + 1, STEPS)
    job.display.clear()
    if not losses or min(losses) > 0.98 * losses[0]:
        raise Failure(
            "no learning rate from 1e-5 to 10 lowers the loss; "
            "see whether the network can learn one batch by heart: --check overfit"
        )
    return RateSearch(rates, losses, float(f"{rates[losses.index(min(losses))] / 3:.1e}"))
