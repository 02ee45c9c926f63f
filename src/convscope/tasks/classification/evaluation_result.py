"""All that one evaluation finds out: how good, how sure of that, how well calibrated, and where it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.tasks.classification.calibration import Calibration, calibration
from convscope.tasks.classification.curves import ClassCurves, class_curves
from convscope.tasks.classification.image_statistics import image_statistics
from convscope.tasks.classification.intervals import Interval, intervals
from convscope.tasks.classification.metrics import ClassificationMetrics, classification_metrics
from convscope.tasks.classification.selective import Selective, selective
from convscope.tasks.classification.slices import Slice, failing_slices

BATCH = 256


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The figures of one split.

    `intervals`: 95 %, of top1, top5, loss, macro_f1 and ece. `calibration`: of the probabilities as the
    network gives them; `uncalibrated`: of those without its temperature. `selective`: what its threshold
    does. `curves`: one a class. `slices`: where it fails, the largest gap first.
    """

    metrics: ClassificationMetrics
    intervals: Mapping[str, Interval]
    calibration: Calibration
    uncalibrated: Calibration
    selective: Selective
    curves: tuple[ClassCurves, ...]
    slices: tuple[Slice, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without NaN: those of the metrics, and more."""
        plain = self.metrics.to_dict()
        areas = [{"roc_auc": one.auc, "average_precision": one.average_precision} for one in self.curves]
        return plain | {
            "per_class": [row | area for row, area in zip(plain["per_class"], areas, strict=True)],
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "calibration": self.calibration.to_dict() | {"ece_without_temperature": self.uncalibrated.ece},
            "selective": self.selective.to_dict(),
            "slices": [found.to_dict() for found in self.slices],
        }


def findings(
    part: PreparedSplit, logits: NDArray[np.floating[Any]], *, classes: tuple[str, ...], decision: Decision
) -> EvaluationResult:
    """Everything about logits n×K on the n images of `part`; raises what `classification_metrics` raises."""
    labels = part.targets
    metrics = classification_metrics(logits, labels, classes)
    return EvaluationResult(
        metrics=metrics,
        intervals=intervals(logits, labels, decision=decision),
        calibration=calibration(logits, labels, decision),
        uncalibrated=calibration(logits, labels, replace(decision, temperature=1.0)),
        selective=selective(logits, labels, decision),
        curves=class_curves(logits, labels, classes),
        slices=failing_slices(
            logits.argmax(axis=1) == labels,
            labels,
            classes=classes,
            looks=image_statistics(part.batches(BATCH)),
            names=part.names,
        ),
    )
