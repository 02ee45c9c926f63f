"""What a network is asked to do: the one contract that data, training, evaluation and report know of a task.

Nothing outside `tasks/<name>/` knows what a label of that task is. A task is a value with six members, and
whoever enters one in `tasks` can train, evaluate, save and load with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from convscope.core.config import DecisionConfig, TrainConfig
from convscope.core.contracts import Dataset, Predictor
from convscope.core.decision import Decision
from convscope.core.errors import unknown_name
from convscope.core.registry import Registry
from convscope.core.run.progress import Progress
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.targets import Targets
from convscope.models.spec import ModelSpec
from convscope.tasks.section import Section

Array: TypeAlias = NDArray[Any]
BATCH = 256
"""Images that a predictor gets at once; it may answer for fewer at a time where memory is short."""


@dataclass(frozen=True)
class Score:
    """The figure that chooses the epoch: its name in a history, such as accuracy, and which way is better.

    It lies in [0, 1], and is shown in per cent.
    """

    name: str
    higher_is_better: bool = True

    def better(self, new: float, best: float | None) -> bool:
        """Whether `new` beats the best so far; None is beaten by everything, and NaN beats nothing.

        >>> Score("error", higher_is_better=False).better(0.1, 0.2), Score("accuracy").better(0.1, None)
        (True, True)
        """
        if best is None:
            return not np.isnan(new)
        # Strict: of equal scores the earlier epoch is kept, which has trained less. NaN compares false.
        return new > best if self.higher_is_better else new < best


class Result(Protocol):
    """The result of an evaluation, with everything that may be shown and stored of it."""

    @property
    def metrics(self) -> Any:
        """The figures as they are counted, in a value of the task's own."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: what `metrics.json` holds of a split."""

    def write(self, folder: Path, split: str, *, everything: bool = False) -> None:
        """Write figures, predictions and pictures to `folder`, under names that begin with `split`.

        `everything`: also the pictures that take longer, which the end of a training does not wait for.
        """

    def table(self) -> list[tuple[str, ...]]:
        """The table that a terminal shows above the lines: the header, then a row each; empty for none."""

    def lines(self, where: str) -> list[str]:
        """What a terminal shows of it, a line each; `where` it was measured, such as "photos, test"."""

    def sections(self) -> Sequence[Section]:
        """The parts of a report that only this task has, in their order on the page."""


class Evaluation(Protocol):
    """A fold over batches: nobody but the task itself ever needs all outputs at once."""

    def add(self, logits: Array, targets: Array) -> None:
        """Take in the outputs of a batch, N×…, and its targets N×…, in the order of the images."""

    def figures(self) -> dict[str, float]:
        """The loss and the score of what was added, by name: {"loss": …, "accuracy": …}."""

    def decision(self, config: DecisionConfig) -> Decision:
        """What makes predictions of the outputs, fitted on what was added; for most tasks `Decision()`."""

    def summary(self) -> dict[str, Any]:
        """The figures as plain JSON types, without intervals, files and pictures."""

    def result(self, split: PreparedSplit, decision: Decision) -> Result:
        """Everything about what was added, which are the images of `split` in their order."""


E = TypeVar("E", bound=Evaluation)


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

    def loss(self, framework: str, config: TrainConfig, targets: Array, *, names: Sequence[str]) -> Any:
        """The training loss in a framework ("pytorch"); what it can do, `training/<framework>/loop.py` says.

        Args:
            framework: the name of the rooms of a framework.
            config: the settings of training.
            targets: of all training images, N×….
            names: of the outputs; a class may have no training image.

        Raises:
            UserError: there is no such loss in this framework.
        """

    def evaluation(self, names: Sequence[str]) -> Evaluation:
        """An empty evaluation of outputs with these names."""


# Entered by name and not found by a plug-in mechanism, so that nothing runs that nobody imported.
tasks: Registry[Task] = Registry("task")
_BUILT_IN = {"classification": "convscope.tasks.classification.task"}
"""Modules that enter their task when they are imported, which the first use of its name does."""


def task_named(name: str) -> Task:
    """The task `name`, built in or entered; an unknown name is a UserError that says the nearest right one.

    >>> task_named("classification").score.name
    'accuracy'
    """
    if name not in tasks:
        if name not in _BUILT_IN:
            raise unknown_name(tasks.kind, name, {*_BUILT_IN, *tasks})
        # Imported now and not above: a task may import what this module defines.
        import_module(_BUILT_IN[name])
    return tasks[name]


def fold(
    evaluation: E,
    predictor: Predictor,
    split: PreparedSplit,
    *,
    what: str = "predict",
    progress: Progress | None = None,
) -> E:
    """Let `predictor` predict the images of a split, a batch at a time, and add each batch to `evaluation`.

    Args:
        evaluation: takes in outputs and targets.
        predictor: outputs for prepared images.
        split: the images with their targets.
        what: the kind of work, for `progress`.
        progress: is called after each batch.

    Returns:
        The same `evaluation`.
    """
    # Once: the property gathers the targets of all images anew each time.
    targets = split.targets
    for start, images in zip(range(0, len(split), BATCH), split.batches(BATCH), strict=True):
        evaluation.add(predictor.predict(images), targets[start : start + BATCH])
        if progress:
            progress(what, start + len(images), len(split))
    return evaluation
