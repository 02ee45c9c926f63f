"""Seconds of `make test`, with .venv set up before. `python benchmarks/suite.py`."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from record import record

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Run the suite once, and write its seconds and its last line."""
    start = time.perf_counter()
    done = subprocess.run(["make", "test"], cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr
    print(f"{seconds:.0f} s: {last}")
    if done.returncode:
        raise SystemExit(done.stdout[-4000:])
    headline = {"what": "`make test`", "measured": f"{seconds / 60:.1f} minutes", "reach": "≤ 10 minutes"}
    record("test_suite", {"seconds": round(seconds), "last_line": last, "headline": [headline]})


if __name__ == "__main__":
    main()
