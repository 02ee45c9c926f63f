"""The import contract: the order of the layers, no cycle, and nothing heavy before it is used."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest
from importlinter import cli

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "convscope"
HEAVY = (
    "torch",
    "torchvision",
    "tensorflow",
    "keras",
    "numpy",
    "PIL",
    "matplotlib",
    "sklearn",
    "pyarrow",
    "pydantic",
)


def test_the_contracts_of_pyproject_hold() -> None:
    assert cli.lint_imports() == cli.EXIT_STATUS_SUCCESS


def test_there_is_no_import_cycle() -> None:
    graph = grimp.build_graph("convscope", cache_dir=None)
    order = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(list(TopologicalSorter(order).static_order())) == len(graph.modules) > 50


@pytest.mark.parametrize(
    "statement", ["import convscope", "import convscope.cli; convscope.cli.main(['--help'])"]
)
def test_a_start_imports_nothing_heavy(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint('heavy:', [m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_a_planted_violation_is_found(tmp_path) -> None:
    package = tmp_path / "planted"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from planted import b\n")
    (package / "b.py").write_text("from planted import a\n")
    sys.path.insert(0, str(tmp_path))
    try:
        graph = grimp.build_graph("planted", cache_dir=None)
    finally:
        sys.path.remove(str(tmp_path))
    order = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    with pytest.raises(ValueError, match="cycle"):
        list(TopologicalSorter(order).static_order())


def imports_of(path: Path) -> set[str]:
    """The top-level packages that a file imports, at its top or inside a function; for type checkers alone
    not.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            skipped |= {inner for statement in node.body for inner in ast.walk(statement)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_torch_is_imported_in_its_own_rooms_alone() -> None:
    files = [p for p in PACKAGE.rglob("*.py") if "pytorch" not in p.parent.relative_to(PACKAGE).parts]
    wrong = [str(p.relative_to(PACKAGE)) for p in files if imports_of(p) & {"torch", "torchvision", "timm"}]
    assert wrong == [] and len(files) > 50
