"""Seconds to start `convscope --help` and `import convscope`: whole processes, the median of 15.

    python benchmarks/startup.py

The import is the difference to a Python that imports nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from record import record

ROUNDS = 15


def seconds(arguments: list[str]) -> float:
    """The wall-clock time of one process."""
    start = time.perf_counter()
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure in turns and write the medians."""
    cases = {
        "nothing": [sys.executable, "-c", "pass"],
        "import": [sys.executable, "-c", "import convscope"],
        "help": [
            sys.executable,
            "-c",
            "import sys; from convscope.cli import main; sys.exit(main(['--help']))",
        ],
    }
    rounds = [{name: seconds(arguments) for name, arguments in cases.items()} for _ in range(ROUNDS)]
    median = {name: round(statistics.median(r[name] for r in rounds), 4) for name in cases}
    imported = round(median["import"] - median["nothing"], 4)
    headline = [
        {"what": "`convscope --help`", "measured": f"{median['help']:.2f} s", "reach": "≤ 0.3 s"},
        {
            "what": "`import convscope`",
            "measured": f"{max(imported, 0):.3f} s, no torch",
            "reach": "≤ 0.15 s, no torch",
        },
    ]
    print(median, imported)
    record("startup", {"median_seconds": median, "import_seconds": imported, "headline": headline})


if __name__ == "__main__":
    main()
