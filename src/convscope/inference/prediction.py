"""What a classifier says of one image, as a value, and many of them as JSON and CSV for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision
from convscope.core.spreadsheet import csv_text

NOT_FINITE = "the network answers with NaN or infinity; train it with a lower rate"


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image, or why there is none.

    `name`: the file or what stands for it. `label`, `probability` (0 to 1): the most probable class. `top`:
    the first few as (label, probability), most probable first. `error`: one line for an image without a
    prediction, else None; then `label` and `probability` are None and `top` is empty. `unknown`: whether the
    network is less sure than its decision asks for; `label` is then a mere guess.
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
    """The Prediction for an image that could not be read, which `error` says in one line.

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
    """One Prediction for each row of logits; a row with NaN or infinity has an error in place of a label.

    Args:
        names: of the N images.
        logits: N×K.
        classes: the K names.
        decision: from logits to probabilities, and to *unknown*.
        top: so many of the most probable classes each; at least one.

    >>> decision, logits = Decision(threshold=0.9), np.log([[0.2, 0.7, 0.1]])
    >>> predictions_of(["a.jpg"], logits, ["cat", "dog", "owl"], decision=decision)[0].unknown
    True
    """
    with np.errstate(invalid="ignore"):  # infinity less infinity
        probabilities, unknown = decision.probabilities(logits), decision.unknown(logits)
    # Stable, so that among equal classes the first is predicted, as argmax has it.
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, : max(top, 1)]
    values = np.take_along_axis(probabilities, order, axis=1).tolist()
    predictions = []
    for name, row, best, doubtful in zip(names, order.tolist(), values, unknown.tolist(), strict=True):
        # The first of the sorted ones: NaN sorts last, so then all of them are NaN.
        if math.isnan(best[0]):
            predictions.append(failed_prediction(name, NOT_FINITE))
            continue
        pairs = tuple((classes[k], probability) for k, probability in zip(row, best, strict=True))
        predictions.append(Prediction(printable(name), *pairs[0], top=pairs, unknown=doubtful))
    return predictions


def printable(name: str) -> str:
    r"""The name with bytes that are not UTF-8 spelt out: a file may be called so, and no terminal shows it.

    >>> printable("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    # Such bytes arrive as lone surrogates (PEP 383), which no UTF-8 output takes.
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def predictions_json(predictions: Iterable[Prediction]) -> str:
    """A JSON array with one object for each Prediction.

    >>> predictions_json([])
    '[]'
    """
    rows = [prediction.to_dict() for prediction in predictions]
    # NaN is no JSON, and none is left: a row that had one has an error instead.
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False)


def predictions_csv(predictions: Iterable[Prediction]) -> str:
    """A CSV document: name, prediction, probability, the next classes each with theirs, unknown and error.

    >>> print(predictions_csv([Prediction("a.jpg", "cat", 0.9, (("cat", 0.9), ("dog", 0.1)))]), end="")
    name,prediction,probability,second,probability_2,unknown,error
    a.jpg,cat,0.9,dog,0.1,0,
    """
    rows = list(predictions)
    # Failed rows have none, and the table must have the columns of the others.
    width = max((len(row.top) for row in rows), default=1)
    header = ["name", *prediction_header(width), "unknown", "error"]
    cells = ([row.name, *prediction_cells(row, width), int(row.unknown), row.error] for row in rows)
    return csv_text(header, cells)


def prediction_header(width: int) -> list[str]:
    """The names of the columns that `prediction_cells` fills, for the first `width` classes.

    >>> prediction_header(2)
    ['prediction', 'probability', 'second', 'probability_2']
    """
    ordinals = ["second", "third", *(f"{n}th" for n in range(4, width + 1))]
    header = ["prediction", "probability"]
    for number, ordinal in enumerate(ordinals[: max(width - 1, 0)], start=2):
        header += [ordinal, f"probability_{number}"]
    return header


def prediction_cells(prediction: Prediction, width: int) -> Sequence[object]:
    """The first `width` classes as label, probability, label, probability, …; None where there is none."""
    cells: list[object] = [cell for pair in prediction.top[:width] for cell in pair]
    # A shorter row would move its last columns under the wrong names.
    return cells + [None] * (2 * max(width, 1) - len(cells))
