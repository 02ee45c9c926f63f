"""The error among predictions that are kept, when those of low confidence are called unknown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.config import SCORES, DecisionConfig
from convscope.core.decision import Decision
from convscope.tasks.classification.calibration import fit_temperature


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """Risk over coverage: a point for every score that occurs, the highest first.

    `coverage`: the fraction of predictions that are kept, rising. `risk`: the fraction of wrong ones among
    them. Both in [0, 1]. `aurc`: the mean risk over the images, each at the coverage at which it is let in; 0
    is best, and scores that know nothing reach the error rate.
    """

    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]
    aurc: float


@dataclass(frozen=True)
class Selective:
    """What a decision does to N predictions.

    `coverage`: the fraction that it keeps. `risk`: the fraction of wrong ones among those, None where none is
    kept. `aurc` and `best_aurc`: areas under the risk–coverage curve of the decision's own score, and of a
    score that ranks every right prediction before every wrong one.
    """

    score: str
    threshold: float | None
    coverage: float
    risk: float | None
    aurc: float
    best_aurc: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dict(vars(self))


def risk_coverage(scores: NDArray[np.float64], right: NDArray[np.bool_]) -> RiskCoverage:
    """The risk–coverage curve of N ≥ 1 predictions (Geifman and El-Yaniv 2017, arXiv 1705.08500).

    Args:
        scores: N; larger is surer.
        right: N, whether each prediction is right.

    >>> curve = risk_coverage(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    >>> curve.coverage.tolist(), curve.risk.round(3).tolist(), round(curve.aurc, 3)
    ([0.25, 0.75, 1.0], [0.0, 0.333, 0.5], 0.292)
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    # Equal scores pass a threshold together, so only the last of each run is a point.
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    kept = last + 1
    risk = np.cumsum(~right[order])[last] / kept
    aurc = float((np.diff(kept, prepend=0) * risk).sum() / len(scores))
    return RiskCoverage(kept / len(scores), risk, aurc)


def selective(logits: NDArray[Any], labels: NDArray[np.int64], decision: Decision) -> Selective:
    """What the threshold of `decision` does, for logits N×K with N ≥ 1 and labels N.

    >>> logits = np.log([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    >>> result = selective(logits, np.array([0, 0, 1]), Decision(threshold=0.7))
    >>> round(result.coverage, 3), result.risk
    (0.667, 0.0)
    """
    right = np.asarray(logits).argmax(axis=1) == labels
    # The rule of the decision itself, so that what is measured is what is served.
    kept = ~decision.unknown(logits)
    # The best ranking lets every right prediction in before a wrong one.
    ranks = np.arange(1, len(right) + 1)
    return Selective(
        score=decision.score,
        threshold=decision.threshold,
        coverage=float(kept.mean()),
        risk=float((~right[kept]).mean()) if kept.any() else None,
        aurc=risk_coverage(decision.scores(logits), right).aurc,
        best_aurc=float((np.maximum(0, ranks - right.sum()) / ranks).mean()),
    )


def score_curves(
    logits: NDArray[Any], labels: NDArray[np.int64], decision: Decision
) -> dict[str, RiskCoverage]:
    """The risk–coverage curve of each score that a decision may have, for logits N×K and labels N."""
    right = np.asarray(logits).argmax(axis=1) == labels
    return {score: risk_coverage(replace(decision, score=score).scores(logits), right) for score in SCORES}


def fit_decision(logits: NDArray[Any], labels: NDArray[np.int64], config: DecisionConfig) -> Decision:
    """The temperature, and the threshold of *unknown*, that validation asks for.

    Args:
        logits: N×K, of images that were not trained on.
        labels: N class indices.
        config: the score, and the fraction of images that keep their prediction.
    """
    return fit_threshold(
        Decision(fit_temperature(logits, labels), config.score), logits, coverage=config.coverage
    )


def fit_threshold(decision: Decision, logits: NDArray[Any], *, coverage: float) -> Decision:
    """`decision` with the threshold that a fraction of predictions reaches.

    Args:
        decision: its score is what is compared with the threshold.
        logits: N×K.
        coverage: at least this fraction of the N is kept, 0 to 1; of equal scores all are.

    Returns:
        A decision without a threshold where `coverage` is 1, and without images: a score that is lower than
        any on validation says nothing yet.

    >>> logits = np.log([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> fit_threshold(Decision(), logits, coverage=0.75).unknown(logits).tolist()
    [False, False, False, True]
    """
    if coverage >= 1 or not len(logits):
        return replace(decision, threshold=None)
    scores = np.sort(decision.scores(logits))
    # Of n rising scores, those from here on are kept: n less this index is coverage · n, rounded up. The 1e-9
    # is for products such as (1 − 0.9) · 10 = 0.9999999999999998.
    first = min(int(np.floor((1 - coverage) * len(scores) + 1e-9)), len(scores) - 1)
    return replace(decision, threshold=float(scores[first]))
