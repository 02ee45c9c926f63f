"""Test accuracy over three seeds, and the seconds of training each.

    python benchmarks/accuracy.py fashion_mnist
    python benchmarks/accuracy.py cifar10 [PATH]     PATH: the data, where they are not in the cache

fashion_mnist is `convscope train` with its defaults; cifar10 is the recipe cifar10_small_cnn.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import torch

from convscope.core.config import RunConfig
from convscope.experiments.repeat import repeat
from convscope.recipes import recipes
from record import record

SEEDS = 3
GOALS = {
    "fashion_mnist": ("`convscope train`, bundled Fashion-MNIST", "≥ 92.5 %, ≤ 180 s of training a seed"),
    "cifar10": ("`small_cnn` on CIFAR-10, 10 epochs of the basic policy", "≥ 77.5 %"),
}


def main(name: str, path: str | None) -> None:
    """Train the seeds and write what came out."""
    config = RunConfig() if name == "fashion_mnist" else recipes["cifar10_small_cnn"].config
    if path:
        config = config.merge({"data": {"source": path}})
    with tempfile.TemporaryDirectory() as folder:
        runs = repeat(config, SEEDS, out=Path(folder) / "run").runs
    accuracy = [run.metrics.test["top1"] for run in runs]
    seconds = [run.metrics.seconds for run in runs]
    mean, deviation = statistics.fmean(accuracy), statistics.stdev(accuracy)
    what, reach = GOALS[name]
    times = f"{min(seconds):.0f}–{max(seconds):.0f} s of training a seed, {torch.get_num_threads()} threads"
    headline = {
        "what": what,
        "measured": f"{mean:.2%} ± {deviation:.2%} (n = {SEEDS}), {times}",
        "reach": reach,
    }
    figures = {"accuracy": accuracy, "seconds": seconds, "config": config.to_dict(), "headline": [headline]}
    print(headline)
    record(f"accuracy_{name}", figures)


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in GOALS:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
