"""The end of a run: the best weights become a bundle, and the test split is opened, once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from convscope.core.atomic import write_json
from convscope.core.bundle import FILE_NAME, Bundle
from convscope.core.errors import UserError
from convscope.core.plotting import save_figure
from convscope.core.provenance import command, hardware, now, versions
from convscope.core.run.history import read_history
from convscope.inference.classifier import Classifier
from convscope.inference.load import load
from convscope.tasks.task import fold
from convscope.training.engine import Outcome, Plan, Status, TrainingSession
from convscope.training.plots import training_curves

METRICS_FILE = "metrics.json"


@dataclass(frozen=True)
class RunMetrics:
    """What a run came to; `metrics.json` holds it, without what is None.

    `best_epoch`: counted from 1; 0 for what training started from. `seconds`: of training. `parameters`: of
    the network. `images`: of each split that was trained or validated on. `validation`, `test`: what the task
    measured there with the best weights; `test` is None unless the run ended by itself.

    >>> metrics = RunMetrics("finished", test={"top1": 0.9})
    >>> metrics["test"]["top1"], "validation" in metrics
    (0.9, False)
    """

    status: Status
    epochs: int = 0
    best_epoch: int = 0
    seconds: float = 0.0
    parameters: int = 0
    images: Mapping[str, int] = field(default_factory=dict)
    validation: Mapping[str, Any] | None = None
    test: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; of a run that reached nothing, its status alone."""
        if self.validation is None and self.test is None:
            return {"status": self.status}
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunMetrics:
        """What `to_dict` gave, also that of version 0.1, which called the status `ending`."""
        current = {**values}
        # Read until 0.3, as the other names of 0.1.
        if "ending" in current:
            current["status"] = current.pop("ending")
        return cls(**current)

    def __getitem__(self, name: str) -> Any:
        """The figure called `name`; KeyError where the run has none."""
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def __contains__(self, name: object) -> bool:
        return vars(self).get(str(name)) is not None


@dataclass(frozen=True)
class Run:
    """A run on disk."""

    folder: Path
    metrics: RunMetrics = field(repr=False)

    @property
    def status(self) -> Status:
        """How it ended."""
        return self.metrics.status

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row of figures an epoch, oldest first."""
        return read_history(self.folder / "history.jsonl")

    @property
    def network(self) -> Classifier:
        """The trained network, which predicts for paths, PIL images and arrays."""
        return load(self.folder)


def finished_run(folder: Path) -> Run | None:
    """The run in `folder` if it came to its end, else None."""
    path = folder / METRICS_FILE
    if not path.is_file():
        return None
    try:
        metrics = RunMetrics.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); train without --resume to start a new run") from None
    # A run that was stopped has metrics, too, but no test figures.
    return Run(folder, metrics) if metrics.test is not None else None


def finalise(session: TrainingSession, status: Status) -> Run:
    """Write bundle, figures and curves of the best weights.

    Args:
        session: what was trained; it cannot go on afterwards.
        status: how its training ended. Only a run that ended by itself opens the test split.
    """
    plan, outcome = session.plan, session.outcome()
    if outcome.weights is None:
        plan.observer.say(f"stopped before the first epoch was over; go on with --resume ({plan.folder})")
        return Run(plan.folder, RunMetrics(status))
    task, data, observer = plan.task, plan.data, plan.observer
    predictor = session.predictor()
    validation = fold(task.evaluation(data.names), predictor, data.validation)
    # Fitted before the test split is open, so that nothing of it can flow in.
    decision = validation.decision(plan.config.decision)
    metrics = RunMetrics(
        status=status,
        epochs=outcome.epochs,
        best_epoch=outcome.best_epoch,
        seconds=round(outcome.seconds, 1),
        parameters=outcome.parameters,
        images={"train": len(data.train), "validation": len(data.validation)},
        validation=validation.summary(),
    )
    if status in {"finished", "early"}:
        # A run that may still go on must not see them: they could decide how.
        test = data.test()
        evaluation = task.evaluation(data.names)
        result = fold(evaluation, predictor, test, what="test", progress=observer.progress).result(
            test, decision
        )
        result.write(plan.folder, "test")
        metrics = replace(metrics, test=result.to_dict())
    Bundle(
        weights=outcome.weights,
        model=dict(outcome.model),
        preprocess=data.preprocess.to_dict(),
        classes=data.names,
        decision=decision,
        metrics=metrics.to_dict(),
        provenance=_provenance(plan, outcome),
        engine=plan.config.engine,
        task=task.name,
        form=plan.config.engine,
    ).save(plan.folder / FILE_NAME)
    # From the file: what a resumed run did before is in no memory.
    save_figure(
        training_curves(read_history(plan.folder / "history.jsonl"), score=task.score.name),
        plan.folder / "curves.png",
    )
    # Last of all: a run with test figures in this file counts as finished.
    write_json(plan.folder / METRICS_FILE, metrics.to_dict())
    return Run(plan.folder, metrics)


def _provenance(plan: Plan, outcome: Outcome) -> dict[str, Any]:
    source = plan.data.source
    return {
        "command": command(),
        "date": now(),
        "seed": plan.config.seed,
        "config": plan.config.to_dict(),
        "data": {
            "name": source.name,
            "location": str(source.location),
            "fingerprint": source.fingerprint(),
        },
        "hardware": hardware() | dict(outcome.environment),
        "versions": versions(),
    }
