"""What is left on disk of one evaluation: figures, every answer, and the pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from convscope.core.atomic import write_json
from convscope.core.decision import Decision
from convscope.data.part import Part
from convscope.evaluation.figures import confusion_figure, recall_bars, save_figure
from convscope.evaluation.metrics import ClassificationMetrics, classification_metrics
from convscope.evaluation.predictions import write_predictions


def write_results(
    folder: Path,
    split: str,
    part: Part,
    *,
    logits: NDArray[np.float32],
    classes: tuple[str, ...],
    decision: Decision,
) -> ClassificationMetrics:
    """The figures of logits n×K on the n images of `part`; written to `folder` under names that begin with `split`.

    `<split>_metrics.json`, `<split>_predictions.csv`, `<split>_confusion.png` and `<split>_recall.png`.
    """
    metrics = classification_metrics(logits, part.labels, classes)
    write_json(folder / f"{split}_metrics.json", metrics.to_dict())
    write_predictions(
        folder / f"{split}_predictions.csv",
        logits,
        part.labels,
        names=part.names,
        classes=classes,
        decision=decision,
    )
    save_figure(confusion_figure(metrics.confusion, classes), folder / f"{split}_confusion.png")
    save_figure(recall_bars(metrics), folder / f"{split}_recall.png")
    return metrics
