"""Speed of training, evaluation and explanation in two checkouts of the project, in turns.

`python benchmarks/checkouts.py BEFORE [AFTER]`, the folders of two checkouts; AFTER is this one where it is
left out. Each measurement is a whole command of the program in a process of its own, with the package of one
checkout before all others on the path. The two take turns, so that what else the machine does hits both; the
median of the ratios of neighbouring turns counts. A ratio above 1 means that AFTER is faster. Rounds:
$ROUNDS, 5 unless said.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from record import record

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = int(os.environ.get("ROUNDS", "5"))
QUICK = ("--set", "data.quarantine=none", "--set", "train.precision=float32", "--set", "train.threads=1")


def run(checkout: Path, *words: str) -> float:
    """Seconds of one command of the program as it is in `checkout`; an error ends the benchmark."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "src"), "OMP_NUM_THREADS": "1"}
    code = "import sys; from convscope.cli import main; sys.exit(main(sys.argv[1:]))"
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{checkout}: {' '.join(words)}: {done.stderr or done.stdout}")
    return time.perf_counter() - start


def train(checkout: Path, folder: Path) -> float:
    """Seconds an image of the loop itself, from the rows of the history: start and end of the run are left
    out.
    """
    shutil.rmtree(folder, ignore_errors=True)
    run(checkout, "train", "--epochs", "2", "--out", str(folder), *QUICK)
    rows = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    return 1 / statistics.median(row["images_per_second"] for row in rows)


def measurements(place: Path) -> dict[str, Callable[[Path], float]]:
    """What is measured of a checkout, by name; `place` has a finished run of each checkout."""

    def own(checkout: Path) -> str:
        return str(place / f"run_{checkout.name}")

    images = str(place / "images")
    return {
        "training, seconds an image": lambda c: train(c, place / f"run_{c.name}"),
        "evaluate, the whole command": lambda c: run(c, "evaluate", own(c)),
        "evaluate --robustness, the whole command": lambda c: run(c, "evaluate", own(c), "--robustness"),
        "predict 512 images, the whole command": lambda c: run(c, "predict", own(c), images, "--json"),
        "explain 16 images by four methods, the whole command": lambda c: run(
            c, "explain", own(c), f"{images}/few", "--out", str(place / "seen")
        ),
    }


def write_images(folder: Path) -> None:
    """512 pictures of 28×28 pixels as PNG, 16 of them in a folder below."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    (folder / "few").mkdir(parents=True)
    for number, pixels in enumerate(rng.integers(0, 256, (512, 28, 28), np.uint8)):
        Image.fromarray(pixels).save(folder / ("few" if number < 16 else "") / f"{number:03}.png")


def main() -> None:
    """Measure both checkouts in turns and write benchmarks/results/checkouts.json."""
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit("name the checkout before, and perhaps the one after: checkouts.py BEFORE [AFTER]")
    before, after = Path(sys.argv[1]).resolve(), Path(sys.argv[2] if len(sys.argv) > 2 else ROOT).resolve()
    rows, headline = {}, []
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        write_images(place / "images")
        for name, measure in measurements(place).items():
            measure(before), measure(after)  # files and caches are warm afterwards
            pairs = [(measure(before), measure(after)) for _ in range(ROUNDS)]
            ratios = sorted(old / new for old, new in pairs)
            middle = statistics.median(ratios)
            rows[name] = {"before": [a for a, _ in pairs], "after": [b for _, b in pairs], "ratios": ratios}
            measured = f"{middle:.2f} × as fast (from {ratios[0]:.2f} to {ratios[-1]:.2f}, {ROUNDS} turns)"
            headline.append({"what": name, "measured": measured, "reach": "not slower by more than noise"})
            print(f"{name}: {measured}", flush=True)
    record("checkouts", {"rounds": ROUNDS, "rows": rows, "headline": headline})


if __name__ == "__main__":
    main()
