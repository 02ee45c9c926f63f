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
from convscope.core.provenance import command, hardware, now, versions
from convscope.evaluation.classifier import Classifier
from convscope.evaluation.figures import save_figure, training_curves
from convscope.evaluation.fit_decision import fit_decision
from convscope.evaluation.load import load
from convscope.evaluation.metrics import classification_metrics
from convscope.evaluation.predict import predict_part
from convscope.evaluation.results import write_results
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.training.checkpoint import State
from convscope.training.history import read_history
from convscope.training.material import Material
from convscope.training.progress import Display

METRICS_FILE = "metrics.json"


@dataclass(frozen=True)
class Run:
    """A run on disk. `ending` is "finished", "early", "interrupted" or "diverged"; `metrics` holds figures by split."""

    folder: Path
    ending: str
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
        return Run(folder, metrics["ending"], metrics) if "test" in metrics else None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); train without --resume to start a new run") from None


def finish(
    config: RunConfig,
    material: Material,
    state: State,
    *,
    network: Network,
    ending: str,
    folder: Path,
    display: Display,
) -> Run:
    """Write bundle, figures and curves of the best weights. Only a run that ended by itself opens the test split.

    `state.best` holds all weights of `network`, also where only its head was trained.
    """
    if not state.best:
        display.say(f"stopped before the first epoch was over; go on with --resume ({folder})")
        return Run(folder, ending, {"ending": ending})
    device = next(network.parameters()).device
    network.load_state_dict(state.best)
    predictor = TorchPredictor(network, material.preprocess, material.classes, device)
    logits = predict_part(predictor, material.validation)
    decision = fit_decision(logits, material.validation.labels, config.decision)
    metrics = _figures_of_training(network, state, ending)
    metrics["images"] = {"train": len(material.train), "validation": len(material.validation)}
    metrics["validation"] = classification_metrics(logits, material.validation.labels, material.classes).to_dict()
    if ending in {"finished", "early"}:
        test = material.test()
        logits = predict_part(predictor, test, progress=lambda done, total: display.work("test", done, total))
        display.clear()
        metrics["test"] = write_results(
            folder, "test", test, logits=logits, classes=material.classes, decision=decision
        ).to_dict()
    bundle = Bundle(
        weights={name: value.detach().contiguous().cpu().numpy() for name, value in state.best.items()},
        model=network.spec.to_dict(),
        preprocess=material.preprocess.to_dict(),
        classes=material.classes,
        decision=decision,
        metrics=metrics,
        provenance=_provenance(config, material, state),
    )
    bundle.save(folder / FILE_NAME)
    save_figure(training_curves(read_history(folder / "history.jsonl")), folder / "curves.png")
    write_json(folder / METRICS_FILE, metrics)
    return Run(folder, ending, metrics)


def _figures_of_training(network: Network, state: State, ending: str) -> dict[str, Any]:
    progress = state.progress
    return {
        "ending": ending,
        "epochs": progress.epoch,
        "best_epoch": progress.best_epoch,
        "seconds": round(progress.seconds, 1),
        "parameters": sum(parameter.numel() for parameter in network.pipeline.parameters()),
    }


def _provenance(config: RunConfig, material: Material, state: State) -> dict[str, Any]:
    return {
        "command": command(),
        "date": now(),
        "seed": config.seed,
        "config": config.to_dict(),
        "data": {
            "name": material.source.name,
            "location": str(material.source.location),
            "fingerprint": material.source.fingerprint(),
        },
        "hardware": hardware() | state.progress.environment,
        "versions": versions(),
    }
