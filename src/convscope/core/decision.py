"""From logits to an answer, or to none: the one value that every form of a network applies in the same
way.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.config import SCORES, Score
from convscope.core.errors import UserError, unknown_name


@dataclass(frozen=True)
class Decision:
    """How logits become probabilities, and when the answer is *unknown*.

    `temperature` (> 0) divides the logits before the softmax; fitted on the validation split at the end of
    training (Guo and others 2017, arXiv 1706.04599). It changes how sure an answer is, never which answer it
    is. `score` says how sure: "probability" is the largest probability, "energy" log Σ exp(logit), whose
    negative is the energy of Liu and others 2020, arXiv 2010.03759. An answer whose score lies below
    `threshold` is unknown; None lets every answer stand.
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
        scaled = np.asarray(logits, dtype=np.float64) / self.temperature
        scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        result: NDArray[np.float64] = scaled / scaled.sum(axis=-1, keepdims=True)
        return result

    def scores(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """How sure each of N answers is, from logits N×K; larger is surer.

        >>> Decision(score="energy").scores(np.zeros((1, 4))).round(3).tolist()
        [1.386]
        """
        if self.score == "probability":
            best: NDArray[np.float64] = self.probabilities(logits).max(axis=-1)
            return best
        exact = np.asarray(logits, dtype=np.float64)
        highest = exact.max(axis=-1, keepdims=True)
        energy: NDArray[np.float64] = highest[..., 0] + np.log(np.exp(exact - highest).sum(axis=-1))
        return energy

    def unknown(self, logits: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each of N answers is to be *unknown*, from logits N×K; a logit that is no number always is.

        >>> Decision(threshold=0.9).unknown(np.array([[9.0, 0.0], [0.5, 0.0]])).tolist()
        [False, True]
        """
        if self.threshold is None:
            return np.zeros(np.shape(logits)[:-1], dtype=np.bool_)
        return ~(self.scores(logits) >= self.threshold)

    def to_dict(self) -> dict[str, Any]:
        """The value as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Decision:
        """The inverse of `to_dict`; of a bundle from before *unknown* the temperature alone."""
        return cls(**value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and bool(np.isfinite(value))
