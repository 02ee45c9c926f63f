"""Each network is about a page: a family may take 120 lines of code, those of Inception 200."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

from convscope.models.pytorch import families

LINES, MORE = 120, {"googlenet": 200, "inception_v3": 200}
PAGES = sorted(Path(families.__path__[0]).rglob("[a-z]*.py"))
QUIET = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def code_lines(source: str) -> int:
    """Lines that hold code: no blank ones, comments, docstrings, or lines of the tables that rename
    weights."""
    tree = ast.parse(source)
    spent: set[int] = set()
    for node in ast.walk(tree):
        docstring = (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        )
        names = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
        if docstring or {"KEY_MAPS", "TORCHVISION", "TIMM"} & set(names):
            spent |= set(range(node.lineno, (node.end_lineno or 0) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    lines = {n for t in tokens if t.type not in QUIET for n in range(t.start[0], t.end[0] + 1)}
    return len(lines - spent)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_family_is_about_a_page(path) -> None:
    assert code_lines(path.read_text(encoding="utf-8")) <= MORE.get(path.stem, LINES)


def test_the_pages_are_found() -> None:
    assert {"resnet", "vgg", "convnext", "teaching"} <= {path.stem for path in PAGES}


def test_the_ruler_measures() -> None:
    assert code_lines('"""Not\ncounted."""\n\n# nor this\nx = [\n    1,\n]\nKEY_MAPS = {\n}\n') == 3
