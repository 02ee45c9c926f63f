"""From logits to an answer: the one value that every form of a network applies in the same way."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError


@dataclass(frozen=True)
class Decision:
    """How logits become probabilities.

    `temperature` (> 0) divides the logits before the softmax; fitted on the validation split at the end of training
    (Guo and others 2017, arXiv 1706.04599). It changes how sure an answer is, never which answer it is.
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        number = isinstance(self.temperature, int | float)  # a bundle may hold anything
        if not (number and np.isfinite(self.temperature) and self.temperature > 0):
            raise UserError(f"temperature is {self.temperature!r}; it must be a number above 0")

    def probabilities(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """softmax(logits / temperature) along the last axis, N×K in and out.

        >>> Decision(temperature=2.0).probabilities(np.array([[0.0, 2 * np.log(3.0)]])).round(3).tolist()
        [[0.25, 0.75]]
        """
        scaled = np.asarray(logits, dtype=np.float64) / self.temperature
        scaled = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
        result: NDArray[np.float64] = scaled / scaled.sum(axis=-1, keepdims=True)
        return result

    def to_dict(self) -> dict[str, Any]:
        """The value as plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Decision:
        """The inverse of `to_dict`."""
        return cls(**value)
