"""What trained weights are worth on photographs, and how long `convscope train` takes with them.

    python benchmarks/transfer.py PHOTOS OUT

First the recipe transfer_vs_scratch (18 runs, goes on in OUT where it was stopped), then a tenth of the
images from scratch with every default, then the default command once, as a process of its own with an empty
cache: decoding, scan, features, probe, test and plots included.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from convscope.core.config import RunConfig
from convscope.experiments.repeat import repeat
from convscope.recipes.transfer_vs_scratch import transfer_vs_scratch
from record import record, threads

PROGRAM = "import sys; from convscope.cli import main; sys.exit(main())"


def seconds_by_default(data: str) -> float:
    """Wall time of `convscope train DATA` with nothing cached."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, "-c", PROGRAM, "train", data, "--out", f"{folder}/run"]
        subprocess.run(command, check=True, env=os.environ | {"CONVSCOPE_CACHE": f"{folder}/cache"})
        return time.perf_counter() - start


def scratch_by_default(data: str, out: Path) -> list[float]:
    """Test accuracies of three seeds from scratch, a tenth of the images and every default (12 epochs)."""
    config = RunConfig.from_dict(
        {"data": {"source": data, "train_fraction": 0.1}, "transfer": {"mode": "scratch"}}
    )
    return [
        run.metrics.test["top1"]
        for run in repeat(config, 3, out=out / "scratch_10_default", resume=True).runs
    ]


def main(data: str, out: str) -> None:
    """Measure and record."""
    rows = transfer_vs_scratch(data, out=Path(out))
    means = {(row.mode, row.fraction): row.mean for row in rows}
    plain = scratch_by_default(data, Path(out))
    seconds = seconds_by_default(data)
    probe, trained = means["probe", 0.1], means["scratch", 0.1]
    usual = statistics.fmean(plain)
    headline = [
        {
            "what": "a linear probe on SqueezeNet, TrashNet, `convscope train` with nothing cached",
            "measured": f"{seconds:.0f} s, {means['probe', 1.0]:.1%} (n = 3), {threads()} threads",
            "reach": "≤ 120 s",
        },
        {
            "what": "the same probe beside scratch, with a tenth of the images",
            "measured": (
                f"{100 * (probe - usual):.1f} points more than scratch by default, {probe:.1%} and "
                f"{usual:.1%}; "
                f"{100 * (probe - trained):.1f} more than scratch given five times the epochs, {trained:.1%} "
                f"(n = 3)"
            ),
            "reach": "≥ 15 points",
        },
    ]
    figures = {"rows": [asdict(row) for row in rows], "scratch_10_default": plain, "seconds": seconds}
    record("transfer", figures | {"headline": headline})
    print(headline)


if __name__ == "__main__":
    main(*sys.argv[1:])
