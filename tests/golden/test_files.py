"""What programs read: every JSON, JSONL, CSV and safetensors file, and the list of all files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from golden.golden_files import check
from golden.reading import documents, page_text, steady

FOLDERS = {
    "run": "A",
    "run_of_a_head": "H",
    "run_fine_tuned": "F",
    "run_of_an_own_network": "O",
    "run_by_a_file": "T",
    "series_second": "B-2",
    "comparison": "C",
    "explanation": "X",
    "explanation_auto": "Y",
    "labels": "L",
    "report": "R",
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder(road: Path, name: str) -> None:
    check(f"folders/{name}.txt", documents(road / FOLDERS[name], road))


def test_the_page_of_a_report(road: Path) -> None:
    check("report.txt", page_text(next((road / "R").glob("*.html")), road))


def test_nothing_else_is_written(road: Path) -> None:
    kept = {"said", "photos", "cache"}
    names = sorted(p.relative_to(road).as_posix() for p in road.rglob("*") if p.is_file())
    check("all_files.txt", "\n".join(name for name in names if name.split("/")[0] not in kept))


def test_the_default_run(default_run: Path) -> None:
    said = (default_run / "said" / "train_default.txt").read_text(encoding="utf-8")
    config = json.loads((default_run / "M" / "config.json").read_text(encoding="utf-8"))
    check("default_run.txt", steady(said + json.dumps(config, indent=1), default_run))
