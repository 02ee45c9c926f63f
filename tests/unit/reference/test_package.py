"""The reference stands on NumPy alone, and nothing but tests and labs stands on it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[3] / "src" / "convscope"
REFERENCE = PACKAGE / "reference"


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_it_imports_numpy_the_standard_library_and_itself():
    allowed = {"numpy", *sys.stdlib_module_names}
    files = list(REFERENCE.rglob("*.py"))
    foreign = {
        (path.name, name)
        for path in files
        for name in imported(path)
        if name.partition(".")[0] not in allowed and not name.startswith("convscope.reference.")
    }
    assert len(files) > 10
    assert foreign == set()


@pytest.mark.slow
def test_production_code_does_without_it():
    others = [
        p for p in PACKAGE.rglob("*.py") if p.relative_to(PACKAGE).parts[0] not in {"reference", "labs"}
    ]
    assert [p.name for p in others for name in imported(p) if name.startswith("convscope.reference")] == []
