"""What a temperature does to the calibration error of trained networks, on their own test images.

    python benchmarks/calibration.py DATA [RUN ...]

With no RUN, a network is first trained on DATA (CIFAR-10) until it overfits: small_cnn for 25 epochs with
neither augmentation nor weight decay, some five minutes on a thread. Else each RUN is a finished run; its own
temperature, fitted on its validation split, is used.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.run.display import Display
from convscope.inference.load import classifier_of
from convscope.inference.predict_split import predict_split
from convscope.inference.run_data import open_prepared
from convscope.tasks.classification.calibration import calibration
from convscope.tasks.classification.metrics import classification_metrics, cross_entropy
from convscope.training.train import train_run
from record import record

OVERFIT = {
    "model": {"name": "small_cnn"},
    "augment": {"policy": "none"},
    "train": {"epochs": 25, "weight_decay": 0.0},
}
HALVED_ABOVE, NOT_WORSE_BY = 0.03, 0.003


def measure(run: Path) -> dict[str, Any]:
    """Figures of the test split with temperature 1 and with that of the run; the test split had no part in
    either.
    """
    bundle = Bundle.load(run)
    name, _, part = open_prepared(bundle, run, split="test")
    logits = predict_split(classifier_of(bundle), part)
    plain = replace(bundle.decision, temperature=1.0)
    before, after = (calibration(logits, part.targets, decision) for decision in (plain, bundle.decision))
    losses = [
        cross_entropy(logits.astype(float) / t, part.targets) for t in (1.0, bundle.decision.temperature)
    ]
    reached = after.ece <= (before.ece / 2 if before.ece > HALVED_ABOVE else before.ece + NOT_WORSE_BY)
    return {
        "run": run.name,
        "data": name,
        "model": bundle.model["name"],
        "images": len(part),
        "accuracy": classification_metrics(logits, part.targets, bundle.classes).top1,
        "temperature": bundle.decision.temperature,
        "ece_before": before.ece,
        "ece_after": after.ece,
        "ece_by_chance": after.chance,
        "loss_before": losses[0],
        "loss_after": losses[1],
        "reached": bool(reached),
    }


def main(data: str, *runs: str) -> None:
    """Measure and record."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(run) for run in runs]
        if not paths:
            config = RunConfig.from_dict(OVERFIT).merge({"data": {"source": data}})
            paths = [train_run(config, out=Path(folder) / "overfit", display=Display()).folder]
        rows = [measure(path) for path in paths]
    first = rows[0]
    headline = [
        {
            "what": "temperature scaling on a CIFAR-10 network that overfits, ECE on test",
            "measured": f"{first['ece_before']:.1%} → {first['ece_after']:.1%}, T = "
            f"{first['temperature']:.2f}",
            "reach": "halved where above 3 %, else not worse by 0.3 points",
        }
    ]
    record("calibration", {"rows": rows, "headline": headline})
    for row in rows:
        print(row)


if __name__ == "__main__":
    main(*sys.argv[1:])
