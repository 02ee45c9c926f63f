"""Does 0.9 mean nine in ten? Confidence beside accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision
from convscope.core.seeds import generator

BINS = 15
DRAWS = 1_000


@dataclass(frozen=True)
class Bin:
    """The answers whose confidence lies above `low` and up to `high`: how many, how sure, and how often
    right.

    `confidence` and `accuracy` are means in [0, 1], and None where `count` is 0.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """`ece`, the expected calibration error: the mean of |accuracy − confidence| over `bins`, weighted by
    their counts.

    `chance`: what perfectly calibrated answers to so few images would stay below in 95 % of cases; an ECE up
    to it says nothing against the network. `confidence` and `accuracy`: the means over all answers;
    confidence above accuracy is overconfidence.
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
    """How well the first answer's probability, as `decision` has it, tells how often the answer is right.

    Logits N×K with N ≥ 1, labels N. 15 bins of equal width (Guo and others 2017, arXiv 1706.04599).

    >>> logits = np.log([[0.7, 0.3]] * 10)
    >>> round(calibration(logits, np.array([0] * 6 + [1] * 4), Decision()).ece, 3)
    0.1
    """
    confidence = decision.probabilities(logits).max(axis=1)
    right = np.asarray(logits).argmax(axis=1) == labels
    place = bin_of(confidence)
    counts = np.bincount(place, minlength=BINS)
    sure, hits = (np.bincount(place, weights=values, minlength=BINS) for values in (confidence, right))
    return Calibration(
        ece=float(np.abs(hits - sure).sum() / len(right)),
        chance=chance_ece(confidence),
        confidence=float(confidence.mean()),
        accuracy=float(right.mean()),
        bins=tuple(
            Bin(k / BINS, (k + 1) / BINS, n, s / n if n else None, h / n if n else None)
            for k, (n, s, h) in enumerate(zip(counts.tolist(), sure.tolist(), hits.tolist(), strict=True))
        ),
    )


def bin_of(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """The bin of each confidence in [0, 1]: the first is up to 1/15, the last ends with 1.

    >>> bin_of(np.array([0.0, 1 / 15, 0.5, 1.0])).tolist()
    [0, 0, 7, 14]
    """
    place: NDArray[np.int64] = np.clip(np.ceil(confidence * BINS) - 1, 0, BINS - 1).astype(np.int64)
    return place


def chance_ece(confidence: NDArray[np.float64]) -> float:
    """The ECE that N answers with these confidences stay below in 95 % of cases, if each is as often right as
    it says.

    Per bin the number of right answers is then nearly normal, with variance Σ c (1 − c) (Bröcker and Smith
    2007, there by redrawing). The same confidences give the same number.

    >>> 0.001 < chance_ece(np.full(10_000, 0.9)) < 0.01 < chance_ece(np.full(100, 0.9))
    True
    """
    deviation = np.sqrt(
        np.bincount(bin_of(confidence), weights=confidence * (1 - confidence), minlength=BINS)
    )
    gaps = generator(0, "calibrated by chance").normal(size=(DRAWS, BINS)) * deviation
    return float(np.quantile(np.abs(gaps).sum(axis=1), 0.95) / len(confidence))
