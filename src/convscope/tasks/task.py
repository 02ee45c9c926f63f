"""What a network is asked to do: the one contract that data, training, evaluation and report know of a task.

Nothing outside `tasks/<name>/` knows what a label of that task is. A task is a value with six members; whoever enters
one in `tasks` can train, evaluate, save and load with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.config import DecisionConfig, TrainConfig
from convscope.core.contracts import Dataset, Predictor
from convscope.core.decision import Decision
from convscope.core.registry import Registry
from convscope.core.run.progress import Progress
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.targets import Targets
from convscope.models.spec import ModelSpec

Array: TypeAlias = NDArray[Any]
BATCH = 256


@dataclass(frozen=True)
class Score:
    """The figure that chooses the epoch: its name in a history, such as accuracy, and which way is better."""

    name: str
    higher_is_better: bool = True

    def better(self, new: float, best: float | None) -> bool:
        """Whether `new` beats the best so far; None is beaten by everything, and NaN beats nothing.

        >>> Score("error", higher_is_better=False).better(0.1, 0.2), Score("accuracy").better(0.1, None)
        (True, True)
        """
        if best is None:
            return not np.isnan(new)
        return new > best if self.higher_is_better else new < best


class Result(Protocol):
    """What an evaluation found, with everything that may be shown and stored of it."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: what `metrics.json` holds of a split."""

    def write(self, folder: Path, split: str) -> None:
        """Write figures, predictions and pictures to `folder`, under names that begin with `split`."""

    def lines(self) -> list[str]:
        """What a terminal shows of it, a line each."""


class Evaluation(Protocol):
    """A fold over batches: nobody but the task itself ever needs all outputs at once."""

    def add(self, logits: Array, targets: Array) -> None:
        """Take in the outputs of a batch, N×…, and the targets N×… beside them, in the order of the images."""

    def figures(self) -> dict[str, float]:
        """The loss and the score of what was added, by name: {"loss": …, "accuracy": …}."""

    def decision(self, config: DecisionConfig) -> Decision:
        """What makes predictions of the outputs, fitted on what was added; for most tasks `Decision()`."""

    def summary(self) -> dict[str, Any]:
        """The figures as plain JSON types, without intervals, files and pictures."""

    def result(self, split: PreparedSplit, decision: Decision) -> Result:
        """Everything about what was added, which are the images of `split` in their order."""


class Task(Protocol):
    """What is asked of a network.

    `name` stands in configuration and bundle; `score` is the figure that chooses the epoch.
    """

    name: str
    score: Score

    def targets(self, dataset: Dataset) -> Targets:
        """What the network is to say of each image, the names of its outputs, and strata for splitting."""

    def head(self, spec: ModelSpec, names: Sequence[str]) -> ModelSpec:
        """The same network with the head that the task needs, for outputs with these names."""

    def loss(self, framework: str, config: TrainConfig, targets: Array) -> Any:
        """The training loss in a framework ("pytorch"), for training targets N×…; see `training/<framework>/`."""

    def evaluation(self, names: Sequence[str]) -> Evaluation:
        """An empty evaluation of outputs with these names."""


tasks: Registry[Task] = Registry("task")


def fold(
    evaluation: Evaluation,
    predictor: Predictor,
    split: PreparedSplit,
    *,
    what: str = "predict",
    progress: Progress | None = None,
) -> Evaluation:
    """Let `predictor` answer for the images of a split, a batch at a time, and add each to `evaluation`.

    Args:
        evaluation: takes in outputs and targets; it is also what returns.
        predictor: outputs for prepared images.
        split: the images with their targets.
        what: the kind of work, for `progress`.
        progress: is called after each batch.
    """
    done = 0
    for images, targets in batches(split):
        evaluation.add(predictor.predict(images), targets)
        done += len(images)
        if progress:
            progress(what, done, len(split))
    return evaluation


def batches(split: PreparedSplit, size: int = BATCH) -> Iterable[tuple[NDArray[np.uint8], Array]]:
    """The images of a split, uint8 N×H×W×C, with their targets, `size` at a time."""
    for start in range(0, len(split), size):
        positions = np.arange(start, min(start + size, len(split)))
        yield split.take(positions), split.targets[positions]


def figures_of(row: Mapping[str, Any], score: Score) -> dict[str, Any]:
    """The validation figures of an epoch as a history row names them.

    >>> figures_of({"loss": 0.5, "accuracy": 0.9}, Score("accuracy"))
    {'validation_loss': 0.5, 'validation_accuracy': 0.9}
    """
    return {f"validation_{name}": row[name] for name in ("loss", score.name)}
