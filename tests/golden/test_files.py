"""What programs read: every JSON, JSONL, CSV and safetensors file, and the list of all files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from golden.golden_files import RANKED, USUAL, Tolerance, check, json_text
from golden.reading import documents, page_text, steady

FOLDERS = {
    "run": ("A", USUAL),
    "run_of_a_head": ("H", USUAL),
    "run_fine_tuned": (
        "F",
        Tolerance(relative=2e-2),
    ),  # its validation loss runs away, and with it the last digits
    "run_of_an_own_network": ("O", USUAL),
    "run_by_a_file": ("T", USUAL),
    "series_second": ("B-2", USUAL),
    "comparison": ("C", USUAL),
    "explanation": ("X", RANKED),
    "explanation_auto": ("Y", RANKED),
    "explanation_in_a_run": ("A/explanation", RANKED),
    "labels": ("L", USUAL),
    "report": ("R", USUAL),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder(road: Path, name: str) -> None:
    folder, tolerance = FOLDERS[name]
    check(f"folders/{name}.txt", documents(road / folder, road), tolerance)


def test_the_page_of_a_report(road: Path) -> None:
    check("report.txt", page_text(next((road / "R").glob("*.html")), road))


def test_nothing_else_is_written(road: Path) -> None:
    kept = {"said", "photos", "cache"}
    names = sorted(p.relative_to(road).as_posix() for p in road.rglob("*") if p.is_file())
    check("all_files.txt", "\n".join(name for name in names if name.split("/")[0] not in kept))


def test_the_default_run(default_run: Path) -> None:
    said = (default_run / "said" / "train_default.txt").read_text(encoding="utf-8")
    before = [line for line in said.splitlines() if not line.startswith(("epoch", "test ", "unknown"))]
    config = json.loads((default_run / "M" / "config.json").read_text(encoding="utf-8"))
    check("default_run.txt", steady("\n".join([*before, json_text(config)]), default_run))
