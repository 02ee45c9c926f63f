"""Peak memory of preparing a folder of photographs and of one epoch of batches, as the folder grows.

    python benchmarks/memory.py [COUNT ...]        default: 1000 20000; about a minute on two cores, 4 GB of disk

For each count a folder of 224×224 JPEGs is made, and a fresh process goes the way that training goes: open the source,
carve the splits, prepare the images, gather every batch of an epoch in random order. Its memory is RssAnon of
/proc/self/status, sampled every 5 ms: what the process owns, without the pages of files that the system may drop at
any time; no tensor library is loaded, so that nothing hides a growth. With `--scan` the process scans the folder first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image

from record import record

SIDE, CLASSES, BATCH = 224, 4, 64


def make_folder_of_jpegs(root: Path, count: int) -> None:
    """Pictures that all differ, from a few pixels of noise enlarged: JPEGs of about 10 kB, quick to make."""
    rng = np.random.default_rng(0)
    for name in range(CLASSES):
        (root / f"class{name}").mkdir(parents=True)
    for index in range(count):
        seed = Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8))
        seed.resize((SIDE, SIDE), Image.Resampling.BILINEAR).save(root / f"class{index % CLASSES}" / f"{index}.jpg")


def anonymous_bytes() -> int:
    """RssAnon of this process, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


class Peak(threading.Thread):
    """Samples RssAnon until it is asked for the highest value."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.highest, self._done = 0, threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.005):
            self.highest = max(self.highest, anonymous_bytes())

    def stop(self) -> int:
        self._done.set()
        self.join()
        return max(self.highest, anonymous_bytes())


def child(folder: Path, scan: bool) -> None:
    """What is measured; it prints its figures as JSON."""
    from convscope.data.prepared import prepare_dataset
    from convscope.data.preprocess import Preprocess
    from convscope.data.scan import scan_source
    from convscope.data.source import open_source
    from convscope.data.split import split_source

    start = anonymous_bytes()
    peak = Peak()
    peak.start()
    began = time.perf_counter()
    source = open_source(folder)
    if scan:
        scan_source(source)
    scanned = time.perf_counter()
    train = split_source(source, seed=0).train
    prepared = prepare_dataset(train, Preprocess(3, SIDE, SIDE))
    ready = time.perf_counter()
    order = np.random.default_rng(0).permutation(len(prepared))
    for at in range(0, len(order), BATCH):
        prepared.images[order[at : at + BATCH]].sum()
    done = time.perf_counter()
    figures = {
        "images_prepared": len(prepared),
        "peak_anonymous_mb": round(peak.stop() / 1e6, 1),
        "at_start_mb": round(start / 1e6, 1),
        "scan_seconds": round(scanned - began, 2) if scan else None,
        "prepare_images_per_second": round(len(prepared) / (ready - scanned)),
        "gather_images_per_second": round(len(prepared) / (done - ready)),
    }
    print(json.dumps(figures))


def measured(count: int, options: list[str]) -> dict[str, float]:
    """The figures of one folder, from a process of its own."""
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base) / "photos"
        make_folder_of_jpegs(folder, count)
        environment = {**os.environ, "CONVSCOPE_CACHE": f"{base}/cache"}
        words = [sys.executable, __file__, "--child", str(folder), *options]
        told = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        return {"images": count, **json.loads(told.stdout)}


def main(words: list[str]) -> None:
    """Measure each count and write the results."""
    options = [word for word in words if word.startswith("--")]
    counts = [int(word) for word in words if word not in options] or [1000, 20000]
    rows = [measured(count, options) for count in counts]
    ratio = rows[-1]["peak_anonymous_mb"] / rows[0]["peak_anonymous_mb"]
    for row in rows:
        print(row)
    print(f"peak of the last / peak of the first: {ratio:.3f}")
    name = "memory_with_scan" if "--scan" in options else "memory"
    print(record(name, {"side": SIDE, "rows": rows, "ratio": round(ratio, 4)}))


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(Path(sys.argv[sys.argv.index("--child") + 1]), "--scan" in sys.argv)
    else:
        main(sys.argv[1:])
