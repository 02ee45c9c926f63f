"""Where a benchmark lives, and which earlier one it may go on with: one of the same settings, data and
files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from convscope.core.atomic import write_json
from convscope.core.config import RunConfig, current_settings, flat
from convscope.core.run.folder import new_folder, runs_of
from convscope.experiments.benchmark import REPORT_FILE, Benchmark
from convscope.models.pytorch.custom_model import is_custom_model


def benchmark_key(shared: RunConfig, models: Sequence[str], data: str) -> dict[str, Any]:
    """What two benchmarks must agree on to share a folder, as JSON types: settings, the fingerprint `data`,
    and files.

    The settings are those of a run without its seed and its network; `files` has the SHA-256 of each file
    that holds a network of one's own.
    """
    settings = flat(
        {name: value for name, value in shared.to_dict().items() if name not in {"seed", "model"}}
    )
    paths = {Path(model.rpartition(":")[0]).resolve() for model in models if is_custom_model(model)}
    files = {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}
    return {"settings": settings, "data": data, "files": files}


def benchmark_folder(base: Path, key: Mapping[str, Any]) -> Path:
    """The newest of `base`, `base-2`, … that holds a benchmark with this key; else a new one of them.

    Networks may come and go, but a file that took part in both has to be the same.
    """
    for folder in runs_of(base, REPORT_FILE):
        earlier = _key(folder)
        same = earlier and all(earlier[part] == key[part] for part in ("settings", "data"))
        if same and all(earlier["files"].get(path, mark) == mark for path, mark in key["files"].items()):
            return folder
    return new_folder(base)


def write_report(benchmark: Benchmark) -> None:
    """Write `comparison.json`. Files of networks that took part earlier stay in its key: their runs are still
    there.
    """
    files = _key(benchmark.folder).get("files", {}) | benchmark.key["files"]
    report = replace(benchmark, key={**benchmark.key, "files": files})
    write_json(benchmark.folder / REPORT_FILE, report.to_dict())


def _key(folder: Path) -> dict[str, Any]:
    """The key of the benchmark in a folder, whole; empty where there is none that can be read."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        key = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))["key"]
        return {"settings": current_settings(key["settings"]), "data": key["data"], "files": key["files"]}
    return {}
