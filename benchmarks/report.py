"""How long the report of a run takes, and how large it is: `convscope evaluate RUN --report` as a person
types it.

    python benchmarks/report.py RUN        # a run of `convscope train`, on Fashion-MNIST

MagnitudeRanges: at most 60 seconds on 2 cores, from the start of the program to its end, and at most 5 MB.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from convscope.core.bundle import Bundle
from record import record, threads

ROUNDS = 3


def main() -> None:
    run = Path(sys.argv[1])
    program = [sys.executable, "-c", "from convscope.cli import main; raise SystemExit(main())"]
    seconds, size = [], 0
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            session = time.perf_counter()
            subprocess.run([*program, "evaluate", str(run), "--report", "--out", folder], check=True)
            seconds.append(round(time.perf_counter() - session, 1))
            size = (Path(folder) / "test_report.html").stat().st_size
    bundle = Bundle.load(run)
    headline = {
        "what": f"`convscope evaluate RUN --report`, {bundle.model['name']} on "
        f"{bundle.provenance['data']['name']}",
        "measured": f"{statistics.median(seconds):.0f} s, {size / 1e6:.1f} MB, {threads()} threads",
        "reach": "≤ 60 s, ≤ 5 MB",
    }
    figures = {
        "headline": [headline],
        "network": bundle.model["name"],
        "data": bundle.provenance["data"]["name"],
        "seconds": seconds,
        "bytes": size,
    }
    print(f"{min(seconds):.1f} to {max(seconds):.1f} s, {size / 1e6:.2f} MB", record("report", figures))


if __name__ == "__main__":
    main()
