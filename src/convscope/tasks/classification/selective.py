"""What it brings to answer only where the network is sure: the error among the answers that are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.config import SCORES
from convscope.core.decision import Decision


@dataclass(frozen=True, eq=False)
class RiskCoverage:
    """The share of answers kept (`coverage`, rising) and that of wrong ones among them (`risk`), both in [0,
    1].

    One point for every score that occurs, the surest first: equal scores stand or fall together. `aurc`: the
    mean risk over the images, each at the coverage at which it is let in; 0 is best, and scores that know
    nothing reach the share of errors.
    """

    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]
    aurc: float


@dataclass(frozen=True)
class Selective:
    """What `decision` does to N answers: the share that it keeps, and the share of wrong ones among those.

    `risk` is None where none is kept. `aurc` and `best_aurc`: areas under the risk–coverage curve of the
    decision's own score, and of a score that ranks every right answer before every wrong one.
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
    """The curve of N ≥ 1 answers with their scores, larger is surer (Geifman and El-Yaniv 2017, arXiv
    1705.08500).

    >>> curve = risk_coverage(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]))
    >>> curve.coverage.tolist(), curve.risk.round(3).tolist(), round(curve.aurc, 3)
    ([0.25, 0.75, 1.0], [0.0, 0.333, 0.5], 0.292)
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    kept = last + 1
    risk = np.cumsum(~right[order])[last] / kept
    aurc = float((np.diff(kept, prepend=0) * risk).sum() / len(scores))
    return RiskCoverage(kept / len(scores), risk, aurc)


def selective(logits: NDArray[Any], labels: NDArray[np.int64], decision: Decision) -> Selective:
    """What the threshold of `decision` does, for logits N×K with N ≥ 1 and labels N.

    >>> logits = np.log([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4]])
    >>> found = selective(logits, np.array([0, 0, 1]), Decision(threshold=0.7))
    >>> round(found.coverage, 3), found.risk
    (0.667, 0.0)
    """
    right = np.asarray(logits).argmax(axis=1) == labels
    kept = ~decision.unknown(logits)
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
