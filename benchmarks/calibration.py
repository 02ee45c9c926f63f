"""What a temperature does to the calibration error of trained networks, on their own test images.

    python benchmarks/calibration.py DATA [RUN ...]

With no RUN, a network is first trained on DATA (CIFAR-10) until it overfits: small_cnn for 25 epochs with
neither augmentation nor weight decay, some five minutes on a thread. Else each RUN is a finished run; its own
temperature, fitted on its validation split, is used.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from convscope.core.config import RunConfig
from convscope.core.run.progress import Lines
from convscope.inference.opened_run import open_run
from convscope.tasks.classification.metrics import cross_entropy
from convscope.tasks.classification.task import CLASSIFICATION
from convscope.tasks.task import fold
from convscope.training.train import train_run
from record import record

OVERFIT = {
    "model": {"name": "small_cnn"},
    "augment": {"policy": "none"},
    "train": {"epochs": 25, "weight_decay": 0.0},
}
HALVED_ABOVE, NOT_WORSE_BY = 0.03, 0.003


def measure(run: Path) -> dict[str, Any]:
    """Figures of the test split, which had no part in either temperature: 1, and that of the run."""
    opened = open_run(run)
    bundle = opened.bundle
    name, _, part = opened.images("test")
    result = fold(CLASSIFICATION.evaluation(bundle.classes), opened.predictor, part).result(
        part, bundle.decision
    )
    before, after = result.uncalibrated, result.calibration
    losses = [
        cross_entropy(result.logits.astype(float) / t, result.labels)
        for t in (1.0, bundle.decision.temperature)
    ]
    reached = after.ece <= (before.ece / 2 if before.ece > HALVED_ABOVE else before.ece + NOT_WORSE_BY)
    return {
        "run": run.name,
        "data": name,
        "model": bundle.model["name"],
        "images": len(part),
        "accuracy": result.metrics.top1,
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
            paths = [train_run(config, out=Path(folder) / "overfit", observer=Lines()).folder]
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
