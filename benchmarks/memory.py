"""Peak memory as a folder of photographs grows: of preparing it, and of the whole `convscope train`.

    python benchmarks/memory.py [COUNT ...]   default: 1000 20000; some minutes on two cores, 8 GB of disk

For each count a folder of 224×224 JPEGs is made, and two fresh processes are measured:

* prepare: open the source, split it, decode into the cache, gather every batch of an epoch in random order.
  No tensor library is loaded, so that nothing hides a growth.
* train: `convscope train FOLDER` with its scan, one epoch of simple_cnn at 224×224, validation and test.

Memory is RssAnon of /proc/PID/status: what the process owns, without the pages of files that the system may
drop at any time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from record import record

SIDE, CLASSES, BATCH = 224, 4, 64


def make_folder_of_jpegs(root: Path, count: int) -> None:
    """Images that all differ, from a few pixels of noise enlarged: JPEGs of about 10 kB, quick to make."""
    rng = np.random.default_rng(0)
    for name in range(CLASSES):
        (root / f"class{name}").mkdir(parents=True)
    for index in range(count):
        seed = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
        seed.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(
            root / f"class{index % CLASSES}" / f"{index}.jpg"
        )


def anonymous_bytes(pid: int) -> int:
    """RssAnon of a process, in bytes; 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon")), 0)


def peak_of(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """The highest RssAnon in MB of a command, sampled every 10 ms, and its seconds."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    highest = 0
    while process.poll() is None:
        highest = max(highest, anonymous_bytes(process.pid))
        time.sleep(0.01)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return round(highest / 1e6, 1), round(time.perf_counter() - began, 1)


def prepare(folder: Path) -> None:
    """The road of the images alone."""
    from convscope.data.preparing.prepared import prepare_dataset
    from convscope.data.preparing.preprocess import Preprocess
    from convscope.data.source import open_source
    from convscope.data.split import split_source

    train = split_source(open_source(folder), seed=0).train
    prepared = prepare_dataset(train, Preprocess(3, SIDE, SIDE))
    order = np.random.default_rng(0).permutation(len(prepared))
    for at in range(0, len(order), BATCH):
        prepared.images[order[at : at + BATCH]].sum()


def measured(count: int) -> dict[str, float]:
    """The figures of one folder, from processes of their own."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "photos"
        make_folder_of_jpegs(folder, count)
        environment = {**os.environ, "CONVSCOPE_CACHE": f"{base}/cache"}
        alone, seconds = peak_of([sys.executable, __file__, "--prepare", str(folder)], environment)
        main = "import sys; from convscope.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", main, "train", str(folder), "--out", f"{base}/run", "--epochs", "1"]
        command += ["--model", "simple_cnn", "--set", f"data.size={SIDE}", "--set", "train.lr=0.001"]
        training, training_seconds = peak_of(command, environment)
        return {
            "images": count,
            "prepare_peak_mb": alone,
            "prepare_seconds": seconds,
            "train_peak_mb": training,
            "train_seconds": training_seconds,
        }


def main(arguments: list[str]) -> None:
    """Measure each count and write the results."""
    rows = [measured(int(count)) for count in arguments or ["1000", "20000"]]
    ratios = {
        kind: round(rows[-1][f"{kind}_peak_mb"] / rows[0][f"{kind}_peak_mb"], 3)
        for kind in ("prepare", "train")
    }
    for row in rows:
        print(row)
    print(ratios)
    measured_text = (
        f"{ratios['train']} × ({rows[0]['train_peak_mb']:.0f} and {rows[-1]['train_peak_mb']:.0f} MB)"
    )
    sizes = f"{rows[0]['images']:,} and of {rows[-1]['images']:,}"
    headline = {
        "what": f"peak memory of `convscope train`, folder of {sizes} images at {SIDE}×{SIDE}",
        "measured": measured_text,
        "reach": "≤ 1.3 ×",
    }
    record("memory", {"side": SIDE, "rows": rows, "ratios": ratios, "headline": [headline]})


if __name__ == "__main__":
    if "--prepare" in sys.argv:
        prepare(Path(sys.argv[-1]))
    else:
        main(sys.argv[1:])
