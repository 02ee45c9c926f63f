"""The commands of the documents are commands, and their Python runs."""

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

import convscope
import small_data
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


def python(document: Path) -> list[str]:
    """Every block of Python, as it stands."""
    return re.findall(r"```python\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)


BLOCKS = [
    pytest.param(block, id=f"{document.name}-{number}")
    for document in DOCUMENTS
    if document.is_file()
    for number, block in enumerate(python(document), 1)
]


def test_the_readme_shows_both_ways_from_python() -> None:
    blocks = python(ROOT / "README.md")
    assert ["convscope.reference" in block for block in blocks] == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS)
def test_each_block_of_python_runs(
    block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Word for word, beside the files that the documents speak of; the photographs are few and tiny."""
    photos = sorted(small_data.write_folder(tmp_path / "photos", count=60).rglob("*.png"))
    for name, photo in zip(("a.jpg", "b.png"), photos, strict=False):
        Image.open(photo).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    exec(
        compile(block, "a block of Python", "exec"), {"convscope": convscope}
    )  # imported further up the page
    shown = capsys.readouterr().out
    assert shown.strip(), "every block ends by showing something"
    assert "Traceback" not in shown
