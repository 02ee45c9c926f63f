"""Questions to ask before a long training: which learning rate, and can this network learn at all?

Both need of a session no more than single updates, so that they hold for every engine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from convscope.core.errors import Failure
from convscope.core.run.progress import Progress
from convscope.training.engine import TrainingSession

LOWEST, HIGHEST, RATE_STEPS = 1e-5, 10.0, 100
# Of the running mean of losses: single batches are too noisy to have a lowest point.
SMOOTHING = 0.9
# Times the lowest loss: further up nothing is learned about a good rate.
BLOWN_UP = 4.0

# 5 % of the first loss: 0.12 for ten classes, which begin near log 10 = 2.3.
OVERFIT_STEPS, MEMORISED = 200, 0.05


@dataclass(frozen=True)
class RateSearch:
    """Smoothed losses over learning rates, and the peak rate that is suggested."""

    rates: list[float]
    losses: list[float]
    suggestion: float


@dataclass(frozen=True)
class Overfit:
    """The losses of each step on one batch; `memorised` when the mean of five fell below 5 % of the first."""

    losses: list[float]
    memorised: bool


def find_rate(session: TrainingSession, progress: Progress) -> RateSearch:
    """Raise the learning rate from 1e-5 to 10 over 100 batches, and watch the loss.

    The finder of Smith 2015, arXiv 1506.01186. The suggestion is a third of the rate at which the smoothed
    loss is lowest: there it is about to get worse. The search ends when the loss is four times its lowest.

    Args:
        session: before its first step; its weights are spent afterwards.
        progress: is called with "learning rate" after each step.

    Raises:
        Failure: no rate lowers the loss.
    """
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    for step in range(RATE_STEPS):
        # Equal steps on a logarithmic axis: a factor of 1.15 each.
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / (RATE_STEPS - 1))
        loss = session.trial(rate, step)
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        # Of few losses the average still leans to its start, which is 0.
        # The correction of Adam: Kingma and Ba 2014, arXiv 1412.6980, section 3.
        smooth = average / (1 - SMOOTHING ** (step + 1))
        if not math.isfinite(loss) or (losses and smooth > BLOWN_UP * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
        progress("learning rate", step + 1, RATE_STEPS)
    # Two per cent lie within the noise of a network that learns nothing.
    if not losses or min(losses) > 0.98 * losses[0]:
        raise Failure(
            "no learning rate from 1e-5 to 10 lowers the loss; "
            "see whether the network can memorise one batch: --check overfit"
        )
    # Two digits: the next search would find others behind them.
    return RateSearch(rates, losses, float(f"{rates[losses.index(min(losses))] / 3:.1e}"))


def overfit_one_batch(session: TrainingSession, rate: float, progress: Progress) -> Overfit:
    """Train on 32 images, without augmentation or mixing, for up to 200 steps.

    A network that cannot memorise 32 images will not learn 50,000: look at labels, normalisation and rate
    (Karpathy 2019, "A Recipe for Training Neural Networks").

    Args:
        session: before its first step; its weights are spent afterwards.
        rate: the learning rate.
        progress: is called with "one batch" after each step.
    """
    losses: list[float] = []
    memorised = False
    while len(losses) < OVERFIT_STEPS and not memorised:
        losses.append(session.trial(rate))
        # A mean of five: with dropout single losses jump.
        memorised = len(losses) >= 5 and fmean(losses[-5:]) < MEMORISED * losses[0]
        progress("one batch", len(losses), OVERFIT_STEPS)
    return Overfit(losses, memorised)
