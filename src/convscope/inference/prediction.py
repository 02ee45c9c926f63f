"""What a network says of one image, as a value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision

NO_NUMBER = "the network answers with NaN or infinity; train it with a lower rate"


@dataclass(frozen=True)
class Prediction:
    """The answer for one image, or why there is none.

    `name`: the file or what stands for it. `label`, `probability` (0 to 1): the first answer. `top`: the
    first few as (label, probability), most probable first. `error`: one line for an image without an answer,
    else None; then `label` and `probability` are None and `top` is empty. `unknown`: is the network less sure
    than its decision asks for? `label` is then a mere guess.
    """

    name: str
    label: str | None
    probability: float | None
    top: tuple[tuple[str, float], ...] = ()
    error: str | None = None
    unknown: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        top = [{"label": label, "probability": probability} for label, probability in self.top]
        return {**vars(self), "top": top}


def failed_prediction(name: str, error: str) -> Prediction:
    """The Prediction for an image that could not be read.

    >>> failed_prediction("a.jpg", "the file is cut short").label is None
    True
    """
    return Prediction(printable(name), None, None, (), error)


def predictions_of(
    names: Sequence[str],
    logits: NDArray[np.floating[Any]],
    classes: Sequence[str],
    *,
    decision: Decision,
    top: int = 5,
) -> list[Prediction]:
    """One Prediction for each row of `logits` N×K as `decision` has it, with the `top` most probable of the K
    `classes`.

    Where they are NaN or infinite there is no probability, and the answer is an error.

    >>> decision = Decision(threshold=0.9)
    >>> predictions_of(["a.jpg"], np.log([[0.2, 0.7, 0.1]]), ["cat", "dog", "owl"], decision=decision)[0].unknown
    True
    """
    with np.errstate(invalid="ignore"):  # infinity less infinity
        probabilities, doubtful = decision.probabilities(logits), decision.unknown(logits)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, : max(top, 1)]
    values = np.take_along_axis(probabilities, order, axis=1).tolist()
    result = []
    for name, row, shares, unknown in zip(names, order.tolist(), values, doubtful, strict=True):
        if math.isnan(shares[0]):
            result.append(failed_prediction(name, NO_NUMBER))
            continue
        best = tuple((classes[k], share) for k, share in zip(row, shares, strict=True))
        result.append(Prediction(printable(name), *best[0], top=best, unknown=bool(unknown)))
    return result


def printable(name: str) -> str:
    r"""The name with bytes that are not UTF-8 spelt out: a file may be called so, a terminal or a file cannot
    show it.

    >>> printable("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
