"""From logits to a prediction, or to *unknown*: the one value that every form of a network applies."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.config import SCORES, Score
from convscope.core.errors import UserError, unknown_name


@dataclass(frozen=True)
class Decision:
    """How logits become probabilities, and when a prediction is *unknown*.

    `temperature` (> 0) divides the logits before the softmax; fitted on the validation split at the end of
    training (Guo and others 2017, arXiv 1706.04599). It changes the confidence, never the prediction. `score`
    is the confidence: "probability" is the largest probability, "energy" log Σ exp(logit), whose negative is
    the energy of Liu and others 2020, arXiv 2010.03759. A prediction whose score lies below `threshold` is
    unknown; None lets every prediction stand.
    """

    temperature: float = 1.0
    score: Score = "probability"
    threshold: float | None = None

    def __post_init__(self) -> None:
        if not (_is_number(self.temperature) and self.temperature > 0):  # a bundle may hold anything
            raise UserError(f"temperature is {self.temperature!r}; it must be a number above 0")
        if self.score not in SCORES:
            raise unknown_name("score of an answer", str(self.score), SCORES)
        if not (self.threshold is None or _is_number(self.threshold)):
            raise UserError(f"threshold is {self.threshold!r}; it must be a number, or none")

    def probabilities(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """softmax(logits / temperature) along the last axis, N×K in and out.

        >>> Decision(temperature=2.0).probabilities(np.array([[0.0, 2 * np.log(3.0)]])).round(3).tolist()
        [[0.25, 0.75]]
        """
        # In float32 all probabilities above 1 − 3e-8 are 1, and their order is lost.
        scaled = np.asarray(logits, dtype=np.float64) / self.temperature
        # The largest becomes 1: exp of a logit above 709 overflows a double.
        scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        result: NDArray[np.float64] = scaled / scaled.sum(axis=-1, keepdims=True)
        return result

    def scores(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """The confidence in each of N predictions, from logits N×K; larger is surer.

        >>> Decision(score="energy").scores(np.zeros((1, 4))).round(3).tolist()
        [1.386]
        """
        if self.score == "probability":
            best: NDArray[np.float64] = self.probabilities(logits).max(axis=-1)
            return best
        exact = np.asarray(logits, dtype=np.float64)
        highest = exact.max(axis=-1, keepdims=True)
        # log Σ exp with the largest taken out, which cannot overflow.
        energy: NDArray[np.float64] = highest[..., 0] + np.log(np.exp(exact - highest).sum(axis=-1))
        return energy

    def unknown(self, logits: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each of N predictions is *unknown*, from logits N×K; one with a NaN logit always is.

        >>> Decision(threshold=0.9).unknown(np.array([[9.0, 0.0], [0.5, 0.0]])).tolist()
        [False, True]
        """
        if self.threshold is None:
            return np.zeros(np.shape(logits)[:-1], dtype=np.bool_)
        # Not `<`: a score that is NaN compares false, and must be unknown.
        return ~(self.scores(logits) >= self.threshold)

    def to_dict(self) -> dict[str, Any]:
        """The value as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Decision:
        """The inverse of `to_dict`; of a bundle from before *unknown* the temperature alone."""
        return cls(**value)


def _is_number(value: object) -> bool:
    # An infinite temperature passes `> 0` and makes all classes equally probable.
    return isinstance(value, int | float) and bool(np.isfinite(value))
