"""What a run folder says about its run, read without torch and without the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convscope.core.bundle import FILE_NAME, read_document
from convscope.core.errors import UserError
from convscope.core.settings import current_settings, flat


@dataclass(frozen=True)
class RunRecord:
    """One run. `settings`: its configuration with dotted keys, without the seed.

    `figures`: those known of test_accuracy, test_macro_f1, validation_accuracy, validation_macro_f1 (0 to 1),
    parameters, seconds (of training) and images_per_second. `data`: the fingerprint of the data, None where
    there is no bundle. `hardware`: the processor and device, in the same way.
    """

    folder: Path
    seed: int
    settings: Mapping[str, Any]
    figures: Mapping[str, float]
    data: str | None = None
    hardware: str | None = None


def read_run(folder: Path | str) -> RunRecord:
    """The record of a run folder; a run that did not come to its end has fewer figures.

    Raises UserError for a folder that is not there or holds no run, and for a file in it that is damaged.
    """
    path = Path(folder)
    if not path.is_dir():
        raise UserError(f"there is no run folder at {path}; runs lie in artifacts/, see: ls artifacts")
    if not (path / "config.json").is_file():
        raise UserError(
            f"{path} is not a run folder: it holds no config.json; give a folder that training wrote"
        )
    # Under the names of this version, so that runs of two versions are compared key by key.
    settings = current_settings(flat(_json(path / "config.json")))
    metrics = _json(path / "metrics.json") if (path / "metrics.json").is_file() else {}
    provenance = _provenance(path / FILE_NAME)
    hardware = provenance.get("hardware") or {}
    return RunRecord(
        folder=path,
        seed=settings.pop("seed", 0),
        settings=settings,
        figures=_figures(metrics) | _rate(path / "history.jsonl"),
        data=(provenance.get("data") or {}).get("fingerprint"),
        hardware=", ".join(str(hardware[key]) for key in ("cpu", "device", "threads") if key in hardware)
        or None,
    )


def _figures(metrics: dict[str, Any]) -> dict[str, float]:
    found = {}
    # A run that was stopped has no test figures.
    for split in ("test", "validation"):
        for key, name in (("top1", "accuracy"), ("macro_f1", "macro_f1")):
            found[f"{split}_{name}"] = (metrics.get(split) or {}).get(key)
    found |= {name: metrics.get(name) for name in ("parameters", "seconds")}
    return {name: value for name, value in found.items() if value is not None}


def _rate(path: Path) -> dict[str, float]:
    """Images a second over all epochs: all by all, since a mean of rates would favour short epochs."""
    images = seconds = 0.0
    try:
        for line in path.read_bytes().splitlines():
            row = json.loads(line)
            images += row["images_per_second"] * row["seconds"]
            seconds += row["seconds"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no history, or a last line that a kill cut off: the rate is that of the rows before it
    return {"images_per_second": images / seconds} if seconds else {}


def _provenance(path: Path) -> dict[str, Any]:
    """Of the bundle, {} where there is none yet or it is damaged: the other files of the run still count."""
    with suppress(UserError):
        return read_document(path).provenance
    return {}


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); copy the run again, or leave it out") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is not what training writes there; copy the run again, or leave it out")
    return value
