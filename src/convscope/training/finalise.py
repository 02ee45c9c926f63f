"""The end of a run: the best weights become a bundle, and the test split is opened, once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convscope.core.atomic import write_json
from convscope.core.bundle import FILE_NAME, Bundle
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.core.plotting import save_figure
from convscope.core.provenance import command, hardware, now, versions
from convscope.core.run.display import Display
from convscope.core.run.history import read_history
from convscope.inference.classifier import Classifier
from convscope.inference.load import load
from convscope.inference.predict_split import predict_split
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.tasks.classification.fit_decision import fit_decision
from convscope.tasks.classification.metrics import classification_metrics
from convscope.tasks.classification.result_files import write_results
from convscope.training.plots import training_curves
from convscope.training.prepare_data import PreparedData
from convscope.training.pytorch.checkpoint import State

METRICS_FILE = "metrics.json"


@dataclass(frozen=True)
class Run:
    """A run on disk. `status` is "finished", "early", "interrupted" or "diverged"; `metrics` holds figures by
    split.
    """

    folder: Path
    status: str
    metrics: dict[str, Any]

    @property
    def history(self) -> list[dict[str, Any]]:
        """One row of figures an epoch, oldest first."""
        return read_history(self.folder / "history.jsonl")

    @property
    def network(self) -> Classifier:
        """The trained network, which answers for paths, PIL images and arrays."""
        return load(self.folder)


def finished_run(folder: Path) -> Run | None:
    """The run in `folder` if it came to its end, else None."""
    path = folder / METRICS_FILE
    if not path.is_file():
        return None
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        status = metrics["status"] if "status" in metrics else metrics["ending"]  # version 0.1 called it so
        return Run(folder, status, metrics) if "test" in metrics else None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); train without --resume to start a new run") from None


def finalise(
    config: RunConfig,
    prepared: PreparedData,
    state: State,
    *,
    network: Network,
    status: str,
    folder: Path,
    display: Display,
) -> Run:
    """Write bundle, figures and curves of the best weights. Only a run that ended by itself opens the test
    split.

    `state.best` holds all weights of `network`, also where only its head was trained.
    """
    if not state.best:
        display.say(f"stopped before the first epoch was over; go on with --resume ({folder})")
        return Run(folder, status, {"status": status})
    device = next(network.parameters()).device
    network.load_state_dict(state.best)
    predictor = TorchPredictor(network, prepared.preprocess, prepared.classes, device)
    logits = predict_split(predictor, prepared.validation)
    decision = fit_decision(logits, prepared.validation.targets, config.decision)
    metrics = _figures_of_training(network, state, status)
    metrics["images"] = {"train": len(prepared.train), "validation": len(prepared.validation)}
    metrics["validation"] = classification_metrics(
        logits, prepared.validation.targets, prepared.classes
    ).to_dict()
    if status in {"finished", "early"}:
        test = prepared.test()
        logits = predict_split(
            predictor, test, progress=lambda done, total: display.work("test", done, total)
        )
        display.clear()
        metrics["test"] = write_results(
            folder, "test", test, logits=logits, classes=prepared.classes, decision=decision
        ).to_dict()
    bundle = Bundle(
        weights={name: value.detach().contiguous().cpu().numpy() for name, value in state.best.items()},
        model=network.spec.to_dict(),
        preprocess=prepared.preprocess.to_dict(),
        classes=prepared.classes,
        decision=decision,
        metrics=metrics,
        provenance=_provenance(config, prepared, state),
    )
    bundle.save(folder / FILE_NAME)
    save_figure(training_curves(read_history(folder / "history.jsonl")), folder / "curves.png")
    write_json(folder / METRICS_FILE, metrics)
    return Run(folder, status, metrics)


def _figures_of_training(network: Network, state: State, status: str) -> dict[str, Any]:
    progress = state.progress
    return {
        "status": status,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "seconds": round(progress.seconds, 1),
        "parameters": sum(parameter.numel() for parameter in network.pipeline.parameters()),
    }


def _provenance(config: RunConfig, prepared: PreparedData, state: State) -> dict[str, Any]:
    return {
        "command": command(),
        "date": now(),
        "seed": config.seed,
        "config": config.to_dict(),
        "data": {
            "name": prepared.source.name,
            "location": str(prepared.source.location),
            "fingerprint": prepared.source.fingerprint(),
        },
        "hardware": hardware() | state.progress.environment,
        "versions": versions(),
    }
