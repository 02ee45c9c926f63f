"""A second task, written here and nowhere in the package: the mean colour of an image, a regression."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convscope.core.config import DecisionConfig, TrainConfig
from convscope.core.contracts import Dataset
from convscope.core.decision import Decision
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.targets import Targets
from convscope.models.spec import ModelSpec
from convscope.tasks.section import Section
from convscope.tasks.task import Score, tasks

NAMES = ("red", "green", "blue")


class MeanColour:
    """Three numbers in [0, 1] an image; the error is their mean distance from the truth."""

    name = "mean_colour"
    score = Score("error", higher_is_better=False)

    def targets(self, dataset: Dataset) -> Targets:
        means = [dataset[index][0].mean(axis=(0, 1)) / 255 for index in range(len(dataset))]
        return Targets(np.array(means, np.float32), NAMES, np.zeros(len(dataset), np.int64))

    def head(self, spec: ModelSpec, names: Sequence[str]) -> ModelSpec:
        return spec.with_changes(classes=len(names))

    def loss(self, framework: str, config: TrainConfig, targets: Any, *, names: Sequence[str]) -> Any:
        assert framework == "pytorch"
        return SquaredError()

    def evaluation(self, names: Sequence[str]) -> ColourEvaluation:
        return ColourEvaluation()


class SquaredError:
    """What the training loop in PyTorch asks of a loss."""

    sampling = None

    def __call__(self, outputs: Any, targets: Any) -> Any:
        return ((outputs.float() - targets) ** 2).mean()

    def score(self, outputs: Any, targets: Any) -> Any:
        return (outputs.float() - targets).abs().mean(dim=1).sum()

    def mixable(self, targets: Any) -> Any:
        return targets


class ColourEvaluation:
    """Adds up and keeps nothing."""

    def __init__(self) -> None:
        self.images, self.squares, self.distances = 0, 0.0, 0.0

    def add(self, logits: Any, targets: Any) -> None:
        self.images += len(targets)
        self.squares += float(((logits - targets) ** 2).mean(axis=1).sum())
        self.distances += float(np.abs(logits - targets).mean(axis=1).sum())

    def figures(self) -> dict[str, float]:
        return {"loss": self.squares / self.images, "error": self.distances / self.images}

    def decision(self, config: DecisionConfig) -> Decision:
        return Decision()

    def summary(self) -> dict[str, Any]:
        return {"task": MeanColour.name, "images": self.images, **self.figures()}

    def result(self, split: PreparedSplit, decision: Decision) -> ColourResult:
        return ColourResult(self.summary())


@dataclass(frozen=True)
class ColourResult:
    metrics: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return dict(self.metrics)

    def write(self, folder: Path, split: str, *, everything: bool = False) -> None:
        (folder / f"{split}_metrics.json").write_text(json.dumps(self.metrics))

    def table(self) -> list[tuple[str, ...]]:
        return []

    def lines(self, where: str) -> list[str]:
        return [f"{where}: error {self.metrics['error']:.2%}"]

    def sections(self) -> Sequence[Section]:
        return ()


def enter(monkeypatch: pytest.MonkeyPatch) -> MeanColour:
    """Put the task on the list, until the MonkeyPatch is undone."""
    monkeypatch.setattr(tasks, "_entries", dict(tasks._entries))
    return tasks.add(MeanColour.name)(MeanColour())
