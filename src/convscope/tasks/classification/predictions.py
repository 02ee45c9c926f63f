"""Every prediction of a split as a file, so that each figure can be checked and each mistake looked up."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import write_json, write_text
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.core.spreadsheet import csv_text
from convscope.inference.prediction import predictions_of
from convscope.inference.prediction_text import prediction_cells, prediction_header


def write_predictions(
    path: Path | str,
    logits: NDArray[np.floating[Any]],
    labels: NDArray[Any] | Sequence[int],
    *,
    names: Sequence[str],
    classes: Sequence[str],
    decision: Decision,
    top: int = 5,
) -> Path:
    """Write one row an image to `path` in one atomic step, as CSV or, where the name ends in .json, as JSON.

    `logits` N×K, `labels` N, `names` N. A row has name, label, whether it is correct, whether it is unknown
    as `decision` has it, prediction, probability and the `top` answers. CSV cells are safe to open in a
    spreadsheet, see `csv_text`; JSON has names exactly.

    Raises UserError for another status or lengths that differ.
    """
    target = Path(path)
    if target.suffix.lower() not in {".csv", ".json"}:
        raise UserError(f"predictions cannot be written to {target}; allowed endings: .csv, .json")
    if not len(logits) == len(labels) == len(names):
        raise UserError(
            f"{len(logits)} predictions, {len(labels)} labels and {len(names)} names do not belong together"
        )
    rows = predictions_of(names, logits, classes, decision=decision, top=top)
    truth = [classes[int(label)] for label in labels]
    if target.suffix.lower() == ".json":
        write_json(target, [_record(row.to_dict(), label) for row, label in zip(rows, truth, strict=True)])
        return target
    width = min(max(top, 1), len(classes))
    header = ["name", "label", "correct", "unknown", *prediction_header(width)]
    cells = (
        [row.name, label, int(row.label == label), int(row.unknown), *prediction_cells(row, width)]
        for row, label in zip(rows, truth, strict=True)
    )
    write_text(target, csv_text(header, cells))
    return target


def _record(answer: dict[str, Any], label: str) -> dict[str, Any]:
    return {
        "name": answer["name"],
        "label": label,
        "correct": answer["label"] == label,
        "unknown": answer["unknown"],
        "prediction": answer["label"],
        "probability": answer["probability"],
        "top": answer["top"],
    }
