"""The budgets of the house. An exception is listed by name with its reason, and the list may only get
shorter.
"""

import ast
import io
import statistics
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "convscope"
FILES = sorted(PACKAGE.rglob("*.py"))

LINES_IN_A_FILE = 400
LINES_IN_A_FUNCTION = 60
LINES_IN_A_LOOP = 120
PARAMETERS = 8
POSITIONAL = 3
TEST_LINES_PER_LINE = 0.6
COMPLEXITY = 10
COMPLEXITY_OF_A_LOOP = 15
FILES_IN_A_FOLDER = 18
MEDIAN_LINES, MOST_LINES_OF_NINE_IN_TEN = 110, 230
COMMENTS_IN_A_HUNDRED_LINES = 4

LOOPS = {
    "training/pytorch/loop.py:fit": "a training loop is read from top to bottom; in pieces it is a framework"
}

LONG_FUNCTIONS: dict[str, str] = {}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "common", "misc", "tools"}


def functions(path: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield f"{path.relative_to(PACKAGE)}:{node.name}", node


def code_lines(node: ast.FunctionDef) -> int:
    """Lines of a function less those of its docstring: a formula and an example must not cost code."""
    first = node.body[0]
    docstring = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    spent = (first.end_lineno or 0) - first.lineno + 1 if docstring else 0
    return (node.end_lineno or 0) - node.lineno + 1 - spent


def complexity(node: ast.FunctionDef) -> int:
    """1 + every branch: if, loop, except, case, boolean operator, conditional expression, comprehension and
    its ifs.

    Functions inside count for themselves.
    """
    total = 1
    waiting: list[ast.AST] = list(ast.iter_child_nodes(node))
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(part, ast.If | ast.For | ast.While | ast.ExceptHandler | ast.IfExp | ast.match_case):
            total += 1
        elif isinstance(part, ast.BoolOp):
            total += len(part.values) - 1
        elif isinstance(part, ast.comprehension):
            total += 1 + len(part.ifs)
        waiting += ast.iter_child_nodes(part)
    return total


def comments(text: str) -> int:
    """Comments that a person reads: those that talk to a tool do not count."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = [token.string for token in tokens if token.type == tokenize.COMMENT]
    return sum(not comment.startswith(("# noqa", "# type:", "# fmt:")) for comment in found)


def test_no_function_is_too_complex() -> None:
    found = {name: complexity(node) for path in FILES for name, node in functions(path)}
    allowed = dict.fromkeys(LOOPS, COMPLEXITY_OF_A_LOOP)
    assert {name: n for name, n in found.items() if n > allowed.get(name, COMPLEXITY)} == {}
    assert [name for name in LOOPS if found.get(name, 0) <= COMPLEXITY] == [], (
        "exceptions that are not needed"
    )


def test_a_folder_is_seen_at_a_glance() -> None:
    counts = Counter(str(path.parent.relative_to(PACKAGE)) for path in FILES)
    assert {folder: n for folder, n in counts.items() if n > FILES_IN_A_FOLDER} == {}


def test_what_is_read_together_stands_together() -> None:
    lengths = sorted(
        len(p.read_text(encoding="utf-8").splitlines()) for p in FILES if p.name != "__init__.py"
    )
    assert statistics.median(lengths) >= MEDIAN_LINES
    assert lengths[int(0.9 * len(lengths))] <= MOST_LINES_OF_NINE_IN_TEN


def test_there_is_a_comment_where_a_reader_pauses() -> None:
    texts = [path.read_text(encoding="utf-8") for path in FILES]
    lines = sum(len(text.splitlines()) for text in texts)
    assert 100 * sum(map(comments, texts)) >= COMMENTS_IN_A_HUNDRED_LINES * lines


def test_no_file_is_too_long() -> None:
    lengths = {str(p.relative_to(PACKAGE)): len(p.read_text(encoding="utf-8").splitlines()) for p in FILES}
    assert {name: n for name, n in lengths.items() if n > LINES_IN_A_FILE} == {}


def test_no_function_is_too_long() -> None:
    lengths = {name: code_lines(node) for path in FILES for name, node in functions(path)}
    allowed = dict.fromkeys(LONG_FUNCTIONS, LINES_IN_A_LOOP)
    assert {name: n for name, n in lengths.items() if n > allowed.get(name, LINES_IN_A_FUNCTION)} == {}
    unneeded = [name for name in LONG_FUNCTIONS if lengths.get(name, 0) <= LINES_IN_A_FUNCTION]
    assert unneeded == [], "these exceptions are no longer needed: take them off the list"


def test_no_public_function_takes_too_much() -> None:
    wrong = {}
    for path in FILES:
        for name, node in functions(path):
            positional = [
                a.arg for a in node.args.posonlyargs + node.args.args if a.arg not in {"self", "cls"}
            ]
            count = len(positional) + len(node.args.kwonlyargs)
            if not node.name.startswith("_") and (count > PARAMETERS or len(positional) > POSITIONAL):
                wrong[name] = (len(positional), count)
    assert wrong == {}


def test_files_are_named_by_their_idea() -> None:
    assert [p for p in FILES if p.stem in FORBIDDEN_NAMES or p.parent.name in FORBIDDEN_NAMES] == []


def test_there_is_enough_test_code() -> None:
    def lines(paths: list[Path]) -> int:
        return sum(bool(line.strip()) for p in paths for line in p.read_text(encoding="utf-8").splitlines())

    assert lines(sorted((ROOT / "tests").rglob("*.py"))) >= TEST_LINES_PER_LINE * lines(FILES)


@pytest.mark.parametrize("length", [LINES_IN_A_FUNCTION, LINES_IN_A_FUNCTION + 1])
def test_the_ruler_measures(length: int) -> None:
    body = "\n".join(["def f():", '    """Not counted."""', *["    x = 1"] * (length - 1)])
    node = ast.parse(body).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert code_lines(node) == length


def test_the_ruler_of_complexity_measures() -> None:
    lines = ("x = [i for i in a if i] if a and b or a else b", "for _ in a:", "    pass", "return x")
    body = "\n    ".join(("def f(a, b):", *lines))
    node = ast.parse(body).body[0]
    assert isinstance(node, ast.FunctionDef)
    assert complexity(node) == 7  # 1, the comprehension and its if, the expression, and, or, the loop


def test_the_ruler_of_comments_measures() -> None:
    assert comments("x = 1  # a reason\ny = 2  # noqa: E501\n# another\n") == 2
