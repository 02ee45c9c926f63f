"""The README's commands are commands."""

import re
import shlex
from pathlib import Path

import pytest

from convscope.cli import app

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def commands(document: Path) -> list[str]:
    """Every line of a shell block, without its comment; several on one line are several."""
    blocks = re.findall(r"```(?:sh|console|bash)\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [part.strip() for line in lines for part in line.split(";") if part.strip()]


CASES = [
    (document.name, command) for document in DOCUMENTS if document.is_file() for command in commands(document)
]


def test_the_readme_names_both_commands_of_a_fresh_machine() -> None:
    assert {"make train", "make test"} <= set(commands(ROOT / "README.md"))


@pytest.mark.parametrize(("document", "command"), CASES)
def test_each_command_can_be_typed(document: str, command: str) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
        assert next(word for word in words[1:] if "=" not in word) in targets
    elif Path(words[0]).name == "convscope":
        app.parse_args(words[1:], exit_on_error=False, print_error=False)
    elif Path(words[0]).name == "python":
        assert (ROOT / words[1]).is_file() or words[1] in {"-m", "-c"}
    else:
        assert words[0] in {"git", "cd", "pip", "source", ".venv/bin/pip", "export", "ls"}, (
            f"{document}: {command}"
        )
