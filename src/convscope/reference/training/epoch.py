"""An epoch: one pass over the images in a new order, its figures, and the check that nothing diverged.

Legend: N images, H rows, W columns; a step is one batch and one update of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from convscope.reference.arrays import Array
from convscope.reference.training.optimizers import Weights


class DivergedError(ArithmeticError):
    """A loss or a weight has become infinite or NaN; the message says in which step and what to change."""


@dataclass(frozen=True)
class Epoch:
    """The figures of one pass over the images.

    `loss` is the mean over the batches and `accuracy` the fraction of correct predictions, both measured
    while the weights changed; `rate` is that of the last step.

    >>> print(Epoch(1, loss=0.6931, accuracy=0.5, rate=0.05, seconds=12.3))
    epoch   1   loss 0.6931   accuracy 50.0 %   rate 0.05   12.3 s
    """

    number: int
    loss: float
    accuracy: float
    rate: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"epoch {self.number:3}   loss {self.loss:.4f}   accuracy {self.accuracy * 100:.1f} %   "
            f"rate {self.rate:.3g}   {self.seconds:.1f} s"
        )


def batches(count: int, batch_size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Cut the numbers 0 to `count` − 1, in a new order, into full batches.

    Args:
        count: N, the number of images, at least 1.
        batch_size: images a batch, at least 1; with fewer images than that, all of them are one batch.
        rng: the source of random numbers; the same state gives the same order.

    Yields:
        The indices of a batch. A last batch that is not full is left out.

    >>> [batch.size for batch in batches(10, 4, np.random.default_rng(0))]
    [4, 4]
    """
    order = rng.permutation(count)
    size = min(batch_size, count)
    # A small last batch would have noisier statistics in batch norm and the same weight in the update.
    for begin in range(0, count - size + 1, size):
        yield order[begin : begin + size]


def check_finite(loss: float, weights: Weights, x: Array, *, step: int, rate: float) -> None:
    """Refuse to go on when a loss or weight is infinite or NaN.

    Args:
        loss: of this step.
        weights: after this step.
        x: the images of this step, N×C×H×W.
        step: its number, for the error.
        rate: its learning rate, for the error.

    Raises:
        DivergedError: something is not finite; the message names the images or the rate as the likely cause.
    """
    # NaN spreads: after one step every weight behind it is NaN, and no later step brings it back.
    if math.isfinite(loss) and all(np.isfinite(w).all() for w in weights.values()):
        return
    if not np.isfinite(x).all():
        raise DivergedError(f"a pixel in the batch of step {step} is infinite or NaN; mend the images")
    raise DivergedError(
        f"training diverged in step {step}: the loss is {loss:.3g}, and a loss or weight is infinite or NaN. "
        f"Lower the rate, {rate:.3g}, to a tenth, and scale the images to mean 0 and deviation 1 "
        f"(in this batch {x.mean():.3g} and {x.std():.3g})"
    )
