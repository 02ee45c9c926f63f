"""Classification as a task: which of K classes an image shows."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.config import DecisionConfig, TrainConfig
from convscope.core.contracts import Dataset
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.targets import Targets
from convscope.models.spec import ModelSpec
from convscope.tasks.classification.metrics import classification_metrics, cross_entropy
from convscope.tasks.classification.report_sections import sections_of
from convscope.tasks.classification.result import EvaluationResult
from convscope.tasks.classification.result_files import write_figures, write_plots
from convscope.tasks.classification.selective import fit_decision
from convscope.tasks.section import Section
from convscope.tasks.task import Score, tasks


class Classification:
    """Targets are class indices; a network has one logit a class."""

    name = "classification"
    score = Score("accuracy")

    def targets(self, dataset: Dataset) -> Targets:
        """The labels of a data set; each class is a stratum."""
        labels = np.asarray(dataset.labels, np.int64)
        return Targets(labels, dataset.classes, labels)

    def head(self, spec: ModelSpec, names: Sequence[str]) -> ModelSpec:
        """The same network with one logit for each of the `names`."""
        # The head that a network was built with has as many logits as it was told; nothing else changes.
        return spec.with_changes(classes=len(names))

    def loss(
        self, framework: str, config: TrainConfig, targets: NDArray[Any], *, names: Sequence[str]
    ) -> Any:
        """The `ClassificationLoss` in the room of a framework beside this file.

        Args:
            framework: the name of the room, such as "pytorch".
            config: imbalance, label smoothing, and the exponent of the focal loss.
            targets: N class indices, of all training images.
            names: of the K classes.

        Raises:
            UserError: there is no such room, or no training image to weigh classes by.
        """
        # By its path, so that a room of another framework needs no line here.
        room = f"{__package__}.{framework}"
        if find_spec(room) is None:
            raise UserError(f"classification has no loss for {framework}; choose another engine")
        return import_module(f"{room}.losses").ClassificationLoss(config, targets, len(names))

    def evaluation(self, names: Sequence[str]) -> ClassificationEvaluation:
        """An empty evaluation of the classes `names`."""
        return ClassificationEvaluation(tuple(names))


class ClassificationResult(EvaluationResult):
    """The result of an evaluation, with its files and its sections of a report."""

    def write(self, folder: Path, split: str, *, everything: bool = False) -> None:
        """Write `<split>_metrics.json`, `_predictions.csv`, `_confusion.png` and `_recall.png`.

        Args:
            folder: exists.
            split: the beginning of every name.
            everything: also `_reliability.png`, `_risk_coverage.png` and `_curves.png`.
        """
        write_figures(self, folder, split)
        if everything:
            write_plots(self, folder, split)

    def sections(self) -> Sequence[Section]:
        """The headline, and what is behind each of its figures."""
        return sections_of(self)


class ClassificationEvaluation:
    """A fold over batches of logits and labels.

    >>> evaluation = ClassificationEvaluation(("cat", "dog"))
    >>> evaluation.add(np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([0, 0]))
    >>> evaluation.figures()["accuracy"]
    0.5
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        """`names`: of the K classes."""
        self.names = names
        # Kept, because intervals, curves and temperature need all of them; of 10 classes 40 bytes an image.
        self._logits: list[NDArray[Any]] = []
        self._labels: list[NDArray[Any]] = []

    @property
    def logits(self) -> NDArray[np.float32]:
        """Everything that was added, n×K."""
        # The empty array gives the shape 0×K where nothing was added.
        return np.concatenate([np.empty((0, len(self.names)), np.float32), *self._logits])

    @property
    def labels(self) -> NDArray[np.int64]:
        """The n class indices beside the logits."""
        return np.concatenate([np.empty(0, np.int64), *self._labels])

    def add(self, logits: NDArray[Any], targets: NDArray[Any]) -> None:
        """Take in the logits of a batch, N×K, and its N class indices."""
        self._logits.append(logits)
        self._labels.append(targets)

    def figures(self) -> dict[str, float]:
        """The mean cross-entropy, and the accuracy in [0, 1]."""
        logits, labels = self.logits.astype(np.float64), self.labels
        # argmax names a NaN logit, so a network that broke is wrong; a count of larger logits would call it
        # right.
        accuracy = float((logits.argmax(axis=1) == labels).mean())
        return {"loss": cross_entropy(logits, labels), "accuracy": accuracy}

    def decision(self, config: DecisionConfig) -> Decision:
        """The temperature, and the threshold of *unknown*."""
        return fit_decision(self.logits, self.labels, config)

    def summary(self) -> dict[str, Any]:
        """The figures of `classification_metrics`, and its errors."""
        return classification_metrics(self.logits, self.labels, self.names).to_dict()

    def result(self, split: PreparedSplit, decision: Decision) -> ClassificationResult:
        """Everything about the images of `split`, which were added in their order."""
        return ClassificationResult.of(split, self.logits, classes=self.names, decision=decision)


CLASSIFICATION = tasks.add(Classification.name)(Classification())
