"""The generated parts of the documents are those that the code and the result files give."""

import json
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_documents_are_up_to_date() -> None:
    documents = runpy.run_path(str(ROOT / "docs" / "tables.py"))["documents"]()
    stale = [path.name for path, text in documents.items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "write them again: .venv/bin/python docs/tables.py"


def test_each_result_names_its_origin() -> None:
    for path in (ROOT / "benchmarks" / "results").glob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        assert {"date", "command", "commit", "hardware", "threads", "versions", "figures"} <= result.keys(), (
            path.name
        )
