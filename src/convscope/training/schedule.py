"""Learning-rate schedules, as pure functions of the step: no object to save; a resumed run loses nothing.

Each gives a multiplier in [0, 1]; the loop multiplies the peak rate by it. All begin with the same linear
warm-up, at 1/(warmup + 1) in step 0 and at 1 in step `warmup`, and have reached their end in step `total`,
one past the last, so that no step is spent at a rate of zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from convscope.core.errors import UserError
from convscope.core.registry import Registry


@dataclass(frozen=True)
class Moment:
    """What a schedule may look at.

    `progress`: the fraction of the steps after warm-up that are done, 0 to 1. `losses`: the validation loss
    of every epoch so far. `milestones`: the progress at which `step` drops. `drop`: the factor of a drop.
    `patience`: the epochs that `plateau` waits before it drops.
    """

    progress: float
    losses: Sequence[float] = ()
    milestones: Sequence[float] = (0.5, 0.75)
    drop: float = 0.1
    patience: int = 5


Schedule = Callable[[Moment], float]
schedules: Registry[Schedule] = Registry("schedule")


@schedules.add("constant")
def constant(_: Moment) -> float:
    """1 throughout."""
    return 1.0


@schedules.add("step")
def step_drops(moment: Moment) -> float:
    """drop^n after n milestones; a tenth at 1/2 and 3/4 is He and others 2015, arXiv 1512.03385.

    >>> [round(step_drops(Moment(p)), 3) for p in (0.0, 0.5, 0.75)]
    [1.0, 0.1, 0.01]
    """
    return float(moment.drop ** sum(moment.progress >= milestone for milestone in moment.milestones))


@schedules.add("cosine")
def cosine(moment: Moment) -> float:
    """(1 + cos(π·progress)) / 2, one fall without restarts: Loshchilov and Hutter 2016, arXiv 1608.03983.

    >>> [round(cosine(Moment(p)), 3) for p in (0.0, 0.5, 1.0)]
    [1.0, 0.5, 0.0]
    """
    return (1.0 + math.cos(math.pi * moment.progress)) / 2.0


@schedules.add("one_cycle")
def one_cycle(moment: Moment) -> float:
    """1 − progress: with a long warm-up, the triangle of Smith 2018, arXiv 1803.09820.

    >>> [round(one_cycle(Moment(p)), 3) for p in (0.0, 0.25, 1.0)]
    [1.0, 0.75, 0.0]
    """
    return 1.0 - moment.progress


@schedules.add("plateau")
def plateau(moment: Moment) -> float:
    """drop^n, where n counts the runs of more than `patience` epochs without a lower validation loss.

    Lower is 0.01 % below the best; a loss that is NaN is never lower.

    >>> plateau(Moment(0.0, losses=[1.0, 0.5, 0.6, 0.7], patience=1))
    0.1
    """
    # Counted anew from the losses each time: a resumed run has them and needs no memory of drops.
    best, waited, drops = math.inf, 0, 0
    for loss in moment.losses:
        if loss < best * (1.0 - 1e-4):  # the threshold of torch's ReduceLROnPlateau
            best, waited = loss, 0
        else:
            waited += 1
        if waited > moment.patience:
            waited, drops = 0, drops + 1
    return float(moment.drop**drops)


def multiplier(
    name: str,
    step: int,
    total: int,
    *,
    warmup: int = 0,
    losses: Sequence[float] = (),
    milestones: Sequence[float] = (0.5, 0.75),
    drop: float = 0.1,
    patience: int = 5,
) -> float:
    """What the peak learning rate is multiplied by in an update, in [0, 1].

    (step + 1) / (warmup + 1) for step < warmup; then `schedules[name]` of (step − warmup) / (total − warmup).

    Args:
        name: of the schedule.
        step: of the optimiser, counted from 0; past the end the schedule keeps its last value.
        total: steps of the whole training, at least 1.
        warmup: steps in which the rate rises, at least 0.
        losses: the validation loss of every epoch so far; "plateau" alone looks at them.
        milestones: fractions of the steps after warm-up, in [0, 1], after which "step" drops.
        drop: the factor of a drop, in [0, 1].
        patience: epochs that "plateau" waits.

    Raises:
        UserError: for an unknown name, and for numbers that are no schedule.

    >>> [round(multiplier("one_cycle", s, 8, warmup=3), 2) for s in range(8)]
    [0.25, 0.5, 0.75, 1.0, 0.8, 0.6, 0.4, 0.2]
    """
    schedule = schedules[name]
    if step < 0 or total < 1 or warmup < 0:
        raise UserError(
            f"schedule got step {step}, total {total}, warmup {warmup}; step, warmup ≥ 0 and total ≥ 1"
        )
    if not 0.0 <= drop <= 1.0:
        raise UserError(f"schedule got drop {drop}; a drop is a factor from 0 to 1, such as 0.1")
    # Not step / warmup: no step is spent at a rate of 0, and step `warmup` is the first at the peak.
    if step < warmup:
        return (step + 1) / (warmup + 1)
    # A training of nothing but warm-up has no step after it.
    progress = min((step - warmup) / (total - warmup), 1.0) if total > warmup else 1.0
    return schedule(Moment(progress, losses, milestones, drop, patience))
