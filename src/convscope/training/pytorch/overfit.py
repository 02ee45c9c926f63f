"""Can this network learn at all? One batch, again and again, until it knows it by heart."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from convscope.data.pytorch.augmentation.policies import policy
from convscope.training.pytorch.checkpoint import State
from convscope.training.pytorch.loop import Job
from convscope.training.pytorch.single_step import take_step

IMAGES, STEPS, KNOWN = 32, 200, 0.05


@dataclass(frozen=True)
class Overfit:
    """The losses of each step on one batch; `learnt` when the last mean of five fell below 5 % of the first
    loss.
    """

    losses: list[float]
    learnt: bool


def overfit_one_batch(job: Job, state: State, *, rate: float) -> Overfit:
    """Train on the first 32 images of the loader, without augmentation or mixing, for up to 200 steps.

    A network that cannot learn 32 images by heart will not learn 50,000: look at labels, normalisation and
    rate (Karpathy 2019, "A Recipe for Training Neural Networks"). The weights of `state` are spent
    afterwards.
    """
    loader = replace(job.loader, augment=policy("none"), mix=None)
    indices: np.ndarray = loader.order(0)[: min(IMAGES, loader.batch_size)]
    batch = loader.batch(indices, 0, 0)
    losses: list[float] = []
    learnt = False
    while len(losses) < STEPS and not learnt:
        losses.append(take_step(job, state, batch, rate=rate))
        learnt = len(losses) >= 5 and float(np.mean(losses[-5:])) < KNOWN * losses[0]
        job.display.work("one batch", len(losses), STEPS)
    job.display.clear()
    return Overfit(losses, learnt)
