"""All that an evaluation of a classifier finds: figures, intervals, calibration, and where it fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.tasks.classification.calibration import Calibration, calibration
from convscope.tasks.classification.curves import ClassCurves, class_curves
from convscope.tasks.classification.intervals import Interval, intervals
from convscope.tasks.classification.metrics import ClassificationMetrics, classification_metrics
from convscope.tasks.classification.selective import Selective, selective
from convscope.tasks.classification.slices import Slice, failing_slices, image_statistics

BATCH = 256
SLICES = 3
"""Of them a terminal names; all are in the report and in `metrics.json`."""


@dataclass(frozen=True, eq=False)
class EvaluationResult:
    """The figures of one split, and what they were made from.

    `images`: the n images with their labels. `logits`: n×K, for the K `classes`. `decision`: from logits to
    predictions. `intervals`: 95 %, of top1, top5, loss, macro_f1 and ece. `calibration`: of the probabilities
    as the decision makes them; `uncalibrated`: of those without its temperature. `selective`: what its
    threshold does. `curves`: one a class. `slices`: where the network fails, the largest gap first.
    """

    images: PreparedSplit
    logits: NDArray[np.float32]
    classes: tuple[str, ...]
    decision: Decision
    metrics: ClassificationMetrics
    intervals: Mapping[str, Interval]
    calibration: Calibration
    uncalibrated: Calibration
    selective: Selective
    curves: tuple[ClassCurves, ...]
    slices: tuple[Slice, ...]

    @classmethod
    def of(
        cls,
        images: PreparedSplit,
        logits: NDArray[np.float32],
        *,
        classes: tuple[str, ...],
        decision: Decision,
    ) -> Self:
        """Everything about the logits of some images.

        Args:
            images: n images with their labels.
            logits: n×K, in the order of the images.
            classes: the K names.
            decision: from logits to predictions.

        Raises:
            UserError: there are no images, or shapes or labels do not fit.
            Failure: a logit is NaN or infinite.
        """
        labels = images.targets
        # First, since it is what refuses logits that nothing can be made of.
        metrics = classification_metrics(logits, labels, classes)
        return cls(
            images=images,
            logits=logits,
            classes=classes,
            decision=decision,
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
                statistics=image_statistics(images.batches(BATCH)),
                names=images.names,
            ),
        )

    @property
    def labels(self) -> NDArray[np.int64]:
        """The n class indices."""
        return self.images.targets

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without NaN: those of the metrics, and more."""
        plain = self.metrics.to_dict()
        areas = [{"roc_auc": one.auc, "average_precision": one.average_precision} for one in self.curves]
        # The keys of the metrics stay where they are, so that both files are read by the same program.
        return plain | {
            "per_class": [row | area for row, area in zip(plain["per_class"], areas, strict=True)],
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "calibration": self.calibration.to_dict() | {"ece_without_temperature": self.uncalibrated.ece},
            "selective": self.selective.to_dict(),
            "slices": [one.to_dict() for one in self.slices],
        }

    def table(self) -> list[tuple[str, ...]]:
        """A row for each class."""
        rows: list[tuple[str, ...]] = [("class", "images", "precision", "recall", "F1")]
        for score in self.metrics.per_class:
            figures = (score.precision, score.recall, score.f1)
            shown = ("–" if figure is None else f"{figure:.3f}" for figure in figures)
            rows.append((score.name, f"{score.support:,}", *shown))
        return rows

    def lines(self, where: str) -> list[str]:
        """Notes, the figures with their intervals, and where the network fails; `where` it was measured."""
        return list(self._lines(where))

    def _lines(self, where: str) -> Iterator[str]:
        metrics, low_high = self.metrics, self.intervals["top1"]
        # Notes first: they say what is missing in the figures below.
        yield from (f"note: {note}" for note in metrics.notes)
        top5 = "" if metrics.top5 is None else f"   top-5 {metrics.top5:.2%}"
        interval = f"(95 % interval {low_high.low:.1%} to {low_high.high:.1%})"
        images = f"{metrics.images:,} image{'s' * (metrics.images != 1)}"
        rest = f"macro-F1 {metrics.macro_f1:.3f}   loss {metrics.loss:.3f}"
        yield f"{where}, {images}: accuracy {metrics.top1:.2%} {interval}{top5}   {rest}"
        yield (
            f"calibration error (ECE) {self.calibration.ece:.2%}, "
            f"{self.uncalibrated.ece:.2%} without the temperature {self.decision.temperature:g}; "
            f"chance alone gives up to {self.calibration.chance:.2%}"
        )
        if self.selective.threshold is not None:
            risk = self.selective.risk
            kept = "" if risk is None else f"; of the others {1 - risk:.2%} are right"
            yield f"answered unknown: {1 - self.selective.coverage:.1%}{kept}"
        yield from (f"fails more often on {weak}" for weak in self.slices[:SLICES])
