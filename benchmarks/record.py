"""Writes benchmarks/results/NAME.json: figures with everything that is needed to judge them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from convscope.core.atomic import make_folder, write_json
from convscope.core.provenance import command, hardware, now, versions

RESULTS = Path(__file__).resolve().parent / "results"


def commit() -> str:
    """The commit of the checkout, with "+" where files differ from it; "unknown" outside a checkout."""
    try:
        git = ["git", "-C", str(RESULTS.parent)]
        told = subprocess.run(
            [*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return told.stdout.strip() + ("+" if changed.stdout.strip() else "")


def threads() -> int:
    """The threads that numerical libraries use: $OMP_NUM_THREADS, else one a processor."""
    return int(os.environ.get("OMP_NUM_THREADS", "0")) or os.cpu_count() or 1


def record(name: str, figures: dict[str, Any]) -> Path:
    """Write the figures of one benchmark, with date, command, commit, hardware, threads and versions."""
    around = {
        "date": now(),
        "command": command(),
        "commit": commit(),
        "hardware": hardware(),
        "threads": threads(),
        "versions": versions(),
    }
    path = make_folder(RESULTS) / f"{name}.json"
    write_json(path, {"name": name, **around, "figures": figures})
    return path
