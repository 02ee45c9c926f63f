"""What is left on disk of one evaluation: figures, every answer, and the pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import write_json
from convscope.core.decision import Decision
from convscope.core.plotting import save_figure
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.tasks.classification.confidence_plots import reliability_figure, risk_coverage_figure
from convscope.tasks.classification.curves import curves_figure
from convscope.tasks.classification.evaluation_result import EvaluationResult, findings
from convscope.tasks.classification.plots import confusion_figure, recall_bars
from convscope.tasks.classification.predictions import write_predictions
from convscope.tasks.classification.selective import score_curves


def write_results(
    folder: Path,
    split: str,
    part: PreparedSplit,
    *,
    logits: NDArray[np.float32],
    classes: tuple[str, ...],
    decision: Decision,
) -> EvaluationResult:
    """What is found of logits n×K on the n images of `part`; written to `folder` under names that begin with
    `split`.

    `<split>_metrics.json`, `<split>_predictions.csv`, `<split>_confusion.png` and `<split>_recall.png`.
    """
    found = findings(part, logits, classes=classes, decision=decision)
    write_json(folder / f"{split}_metrics.json", found.to_dict())
    write_predictions(
        folder / f"{split}_predictions.csv",
        logits,
        part.targets,
        names=part.names,
        classes=classes,
        decision=decision,
    )
    save_figure(confusion_figure(found.metrics.confusion, classes), folder / f"{split}_confusion.png")
    save_figure(recall_bars(found.metrics), folder / f"{split}_recall.png")
    return found


def write_confidence_plots(
    folder: Path,
    split: str,
    found: EvaluationResult,
    *,
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    decision: Decision,
) -> None:
    """Pictures that a second look wants, and the end of a training does not wait for.

    `<split>_reliability.png`, `<split>_risk_coverage.png` and `<split>_curves.png`, beside those of
    `write_results`.
    """
    curves = score_curves(logits, labels, decision)
    save_figure(
        reliability_figure(found.uncalibrated, found.calibration), folder / f"{split}_reliability.png"
    )
    save_figure(risk_coverage_figure(curves, found.selective), folder / f"{split}_risk_coverage.png")
    save_figure(curves_figure(found.curves), folder / f"{split}_curves.png")
