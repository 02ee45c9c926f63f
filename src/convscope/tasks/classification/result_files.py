"""What is left on disk of one evaluation: figures, every prediction, and the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import write_json, write_text
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.core.plotting import save_figure
from convscope.core.spreadsheet import csv_text
from convscope.inference.prediction import prediction_cells, prediction_header, predictions_of
from convscope.tasks.classification.confidence_plots import reliability_figure, risk_coverage_figure
from convscope.tasks.classification.confusion import confusion_figure, recall_bars
from convscope.tasks.classification.curves import curves_figure
from convscope.tasks.classification.result import EvaluationResult
from convscope.tasks.classification.selective import score_curves


def write_figures(result: EvaluationResult, folder: Path, split: str) -> None:
    """Write the figures, every prediction, and which class is taken for which.

    Args:
        result: what is written.
        folder: gets `<split>_metrics.json`, `_predictions.csv`, `_confusion.png` and `_recall.png`.
        split: the beginning of every name.
    """
    write_json(folder / f"{split}_metrics.json", result.to_dict())
    write_predictions(
        folder / f"{split}_predictions.csv",
        result.logits,
        result.labels,
        names=result.images.names,
        classes=result.classes,
        decision=result.decision,
    )
    save_figure(confusion_figure(result.metrics.confusion, result.classes), folder / f"{split}_confusion.png")
    save_figure(recall_bars(result.metrics), folder / f"{split}_recall.png")


def write_plots(result: EvaluationResult, folder: Path, split: str) -> None:
    """Write the pictures that take longer, which the end of a training does not wait for.

    Args:
        result: what is drawn.
        folder: gets `<split>_reliability.png`, `_risk_coverage.png` and `_curves.png`.
        split: the beginning of every name.
    """
    curves = score_curves(result.logits, result.labels, result.decision)
    reliability = reliability_figure(result.uncalibrated, result.calibration)
    save_figure(reliability, folder / f"{split}_reliability.png")
    save_figure(risk_coverage_figure(curves, result.selective), folder / f"{split}_risk_coverage.png")
    save_figure(curves_figure(result.curves), folder / f"{split}_curves.png")


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
    """Write one row an image in one atomic step, so that each figure can be checked and each error looked up.

    A row has name, label, whether it is correct, whether it is unknown, prediction, probability and the next
    most probable classes.

    Args:
        path: ends in .csv, whose cells are safe to open in a spreadsheet (see `csv_text`), or in .json, which
            has names exactly.
        logits: N×K.
        labels: N class indices.
        names: of the N images.
        classes: the K names.
        decision: from logits to predictions.
        top: so many classes a row.

    Returns:
        The path.

    Raises:
        UserError: another ending, or lengths that differ.
    """
    target = Path(path)
    # Before anything is computed: a wrong name costs no time.
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
    # Fixed by the classes and not by the rows, so that a file without images has the same header.
    width = min(max(top, 1), len(classes))
    header = ["name", "label", "correct", "unknown", *prediction_header(width)]
    cells = (
        [row.name, label, int(row.label == label), int(row.unknown), *prediction_cells(row, width)]
        for row, label in zip(rows, truth, strict=True)
    )
    write_text(target, csv_text(header, cells))
    return target


def _record(prediction: dict[str, Any], label: str) -> dict[str, Any]:
    return {
        "name": prediction["name"],
        "label": label,
        "correct": prediction["label"] == label,
        "unknown": prediction["unknown"],
        "prediction": prediction["label"],
        "probability": prediction["probability"],
        "top": prediction["top"],
    }
