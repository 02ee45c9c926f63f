"""The verb: a trained network against a split of its own data, or against other data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from convscope.core.atomic import make_folder, write_json
from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.core.plotting import save_figure
from convscope.core.run.progress import Progress
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.evaluation.robustness.measure import (
    Robustness,
    measure_robustness,
    robustness_figure,
    sample,
)
from convscope.inference.load import Model
from convscope.inference.opened_run import OpenedRun, open_run
from convscope.tasks.task import Result, Task, fold, task_named

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of an evaluation, and what it was measured on.

    `result`: what the `task` of the network makes of it. `data` and `split`: their names. `folder`: has
    figures, predictions and pictures. `images`: n prepared images with their targets. `run`: what was
    evaluated, still open. `robustness`: where it was asked for.
    """

    result: Result
    task: Task
    data: str
    split: str
    folder: Path
    images: PreparedSplit
    run: OpenedRun
    robustness: Robustness | None = None

    @property
    def decision(self) -> Decision:
        """What makes predictions of the outputs."""
        return self.run.bundle.decision

    @property
    def metrics(self) -> Any:
        """The figures as they are counted, without intervals; of classes, ClassificationMetrics."""
        return self.result.metrics

    @property
    def failed(self) -> tuple[tuple[str, str], ...]:
        """(name, reason) of images that cannot be read and are in no figure."""
        return self.images.failed

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types: the figures, and what they were measured on."""
        around: dict[str, Any] = {"data": self.data, "split": self.split, "folder": str(self.folder)}
        if self.robustness is not None:
            around["robustness"] = self.robustness.to_dict()
        return around | {"failed": [list(entry) for entry in self.failed]} | self.result.to_dict()


def evaluate(
    run: str | Path,
    data: str | Path | None = None,
    *,
    split: str = "test",
    model: Model = None,
    out: str | Path | None = None,
    robustness: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure the network of a run, and write figures, predictions and pictures.

    Args:
        run: a run folder or a bundle file.
        data: other images with the same class names, by name or path; None for the run's own.
        split: test, validation or train; of other data that are not split, all images count.
        model: for a custom model, as in `load`.
        out: a folder; None for `evaluation/` in the run folder, or `evaluation_<data>/` for other data.
        robustness: also measure a sample of 1,000 images (200 photographs), drawn by seed, under every
            corruption.
        progress: is called as work goes on.

    Raises:
        UserError: the run, the data, the split or the classes do not fit.
        Failure: the network gives NaN or infinity.

    >>> evaluate("artifacts/torch_small_cnn_fashion_mnist").metrics.top1  # doctest: +SKIP
    0.929
    """
    if split not in SPLITS:
        raise UserError(f"there is no split {split!r}; allowed: {', '.join(SPLITS)}")
    opened = open_run(run, data=data, model=model, progress=progress)
    task = task_named(opened.bundle.task)
    # Targets come from the task, since a source has class labels only.
    name, split, images = opened.images(split, task.targets)
    own = opened.folder / ("evaluation" if data is None else f"evaluation_{name}")
    # Before the work: where the folder cannot be made, nobody waits in vain.
    folder = make_folder(Path(out) if out else own)
    folded = fold(task.evaluation(opened.bundle.classes), opened.predictor, images, progress=progress)
    result = folded.result(images, opened.bundle.decision)
    # Everything: who evaluates by hand wants to see, and waits a second more.
    result.write(folder, split, everything=True)
    evaluation = Evaluation(result, task, name, split, folder, images, opened)
    return replace(evaluation, robustness=_robustness(evaluation)) if robustness else evaluation


def _robustness(evaluation: Evaluation) -> Robustness:
    run, seed = evaluation.run, evaluation.run.bundle.seed
    # The seed of the run, so that two evaluations of it measure the same images.
    images, targets = sample(evaluation.images, seed=seed)
    measured = measure_robustness(
        run.predictor, images, targets, task=evaluation.task, seed=seed, progress=run.progress
    )
    write_json(evaluation.folder / f"{evaluation.split}_robustness.json", measured.to_dict())
    save_figure(robustness_figure(measured), evaluation.folder / f"{evaluation.split}_robustness.png")
    return measured
