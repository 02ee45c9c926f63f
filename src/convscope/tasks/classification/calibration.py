"""Does 0.9 mean nine in ten? Confidence beside accuracy, and the temperature that brings them together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision
from convscope.core.seeds import generator

BINS = 15
"""As Guo and others 2017 have it, arXiv 1706.04599, so that figures can be compared with theirs."""
DRAWS = 1_000
BOUNDS = (0.05, 20.0)
"""Of the temperature: a split without an error would otherwise give infinite confidence."""


@dataclass(frozen=True)
class Bin:
    """The predictions whose confidence lies above `low` and up to `high`.

    `count`: how many there are. `confidence` and `accuracy`: means in [0, 1], None where `count` is 0.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """How far confidence and accuracy lie apart.

    `ece`: the expected calibration error, which is the mean of |accuracy − confidence| over `bins`, weighted
    by their counts. `chance`: what perfectly calibrated predictions of so few images stay below in 95 % of
    cases; an ECE up to it says nothing against the network. `confidence` and `accuracy`: means over all
    predictions; confidence above accuracy is overconfidence.
    """

    ece: float
    chance: float
    confidence: float
    accuracy: float
    bins: tuple[Bin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**vars(self), "bins": [vars(entry) for entry in self.bins]}


def calibration(logits: NDArray[Any], labels: NDArray[np.int64], decision: Decision) -> Calibration:
    """How well the probability of a prediction tells how often it is right, in 15 bins of equal width.

    Args:
        logits: N×K, with N ≥ 1.
        labels: N class indices.
        decision: makes probabilities of the logits.

    >>> logits = np.log([[0.7, 0.3]] * 10)
    >>> round(calibration(logits, np.array([0] * 6 + [1] * 4), Decision()).ece, 3)
    0.1
    """
    confidence = decision.probabilities(logits).max(axis=1)
    right = np.asarray(logits).argmax(axis=1) == labels
    # Equal width and not equal count: the last bin is where overconfidence shows.
    place = bin_of(confidence)
    counts = np.bincount(place, minlength=BINS)
    sums, hits = (np.bincount(place, weights=values, minlength=BINS) for values in (confidence, right))
    return Calibration(
        ece=float(np.abs(hits - sums).sum() / len(right)),
        chance=chance_ece(confidence),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        bins=tuple(
            Bin(k / BINS, (k + 1) / BINS, n, s / n if n else None, h / n if n else None)
            for k, (n, s, h) in enumerate(zip(counts.tolist(), sums.tolist(), hits.tolist(), strict=True))
        ),
    )


def bin_of(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each confidence in [0, 1]: the first is up to 1/15, the last ends with 1.

    >>> bin_of(np.array([0.0, 1 / 15, 0.5, 1.0])).tolist()
    [0, 0, 7, 14]
    """
    # ceil − 1 puts an edge into the bin below, as (low, high] says; 0 itself belongs to the first.
    place: NDArray[np.int64] = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
    return place


def chance_ece(confidence: NDArray[np.float64]) -> float:
    """The ECE that N predictions stay below in 95 % of cases, if each is as often right as its confidence.

    The same confidences give the same number.

    >>> 0.001 < chance_ece(np.full(10_000, 0.9)) < 0.01 < chance_ece(np.full(100, 0.9))
    True
    """
    # The number of right ones in a bin is nearly normal, with variance Σ c (1 − c). Bröcker and Smith 2007
    # redraw every prediction instead, which takes N draws in place of 15.
    variance = np.bincount(bin_of(confidence), weights=confidence * (1 - confidence), minlength=BINS)
    gaps = generator(0, "calibrated by chance").normal(size=(DRAWS, BINS)) * np.sqrt(variance)
    return float(np.quantile(np.abs(gaps).sum(axis=1), 0.95) / len(confidence))


def fit_temperature(logits: NDArray[Any], labels: NDArray[np.int64]) -> float:
    """The temperature T > 0 that minimises the mean of −log softmax(logits / T)[label].

    It changes confidences, never which class is predicted. Guo and others 2017, arXiv 1706.04599.

    Args:
        logits: N×K, of images that were not trained on.
        labels: N class indices.

    Returns:
        T between 0.05 and 20; 1 for fewer than two images, and where no other T has a lower loss.

    >>> round(fit_temperature(np.array([[4.0, 0.0], [4.0, 0.0]]), np.array([0, 1])))
    20
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    # One image is fitted perfectly by the smallest or the largest temperature.
    if len(labels) < 2:
        return 1.0
    scores = np.asarray(logits, np.float64)
    right = scores[np.arange(len(labels)), labels]

    def loss(log_t: float) -> float:
        beta = np.exp(-log_t)
        return float(np.mean(logsumexp(scores * beta, axis=1) - right * beta))

    # In log T the loss has one minimum, and steps of equal ratio: 0.05 is as far from 1 as 20.
    best = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded")
    # Four digits are in the bundle; the comparison is of what is saved.
    fitted = round(float(np.exp(best.x)), 4)
    return fitted if loss(np.log(fitted)) < loss(0.0) else 1.0
