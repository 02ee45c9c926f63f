"""What a run leaves on disk, and what the terminal showed, as text for golden files."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

from safetensors import safe_open

from golden.golden_files import json_text

RATES = (
    (r"[\d,.]+(?= images/s)", "<rate>"),
    (r"(?<=seconds of training).*|(?<=images a second).*", " <times>"),
    (r"(?m)^((?:simple_cnn|my_net\.py:Net) .*?)(\s+[\d.,]+){3}$", r"\1 <times>"),
    (r"(?m)^system \w+, machine .*$", "<hardware>"),
    (r"(?m)^python \d+\.\d+\.\d+, .*$", "<versions>"),
    (r"\b[0-9a-f]{64}\b", "<sha256>"),
    (r"\b[0-9a-f]{16}(?=/)", "<fingerprint>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+00:00)?( UTC)?", "<date>"),
)


def steady(text: str, home: Path) -> str:
    """The text without what changes from one time and machine to the next."""
    text = text.replace(str(home.resolve()), "<here>").replace(str(home), "<here>")
    for pattern, placeholder in RATES:
        text = re.sub(pattern, placeholder, text)
    return text


def terminal(text: str, home: Path) -> str:
    """What was said; JSON a line a value."""
    first, _, rest = text.partition("\n")
    answer, mark, end = rest.partition("--- ")
    if "json" in first and answer.strip():
        answer = json_text(json.loads(answer)) + "\n"
    return steady(f"{first}\n{answer}{mark}{end}", home)


def documents(folder: Path, home: Path) -> str:
    """Everything in a folder that programs read, file by file, after a list of all its files.

    Of explanations in a run only the names are listed.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [f"{path.relative_to(folder).as_posix()}" for path in files]
    for path in files:
        text = _document(path)
        if text is not None and "explanation" not in path.relative_to(folder).parts:
            parts += ["", f"=== {path.relative_to(folder).as_posix()}", text.rstrip("\n")]
    return steady("\n".join(parts), home)


def _document(path: Path) -> str | None:
    if path.suffix == ".json":
        return json_text(json.loads(path.read_text(encoding="utf-8")))
    if path.suffix == ".jsonl":
        return json_text([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()])
    if path.suffix == ".csv":
        return path.read_text(encoding="utf-8")
    return _tensors(path) if path.suffix == ".safetensors" else None


def _tensors(path: Path) -> str:
    with safe_open(path, framework="numpy") as file:
        metadata = {key: json.loads(text) for key, text in sorted((file.metadata() or {}).items())}
        slices = {name: file.get_slice(name) for name in sorted(file.keys())}
        shapes = [
            f"{name} {'×'.join(map(str, s.get_shape())) or '()'} {s.get_dtype()}"
            for name, s in slices.items()
        ]
    return "\n".join([json_text(metadata), *shapes])


class Page(HTMLParser):
    """The text of a page: a line an element, without pictures, style and scripts."""

    QUIET = ("svg", "style", "script")
    WITHIN = ("b", "i", "em", "strong", "code", "span", "a", "sup", "sub", "small")

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = [""]
        self.quiet = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.quiet += tag in self.QUIET
        words = dict(attrs)
        if tag == "img":
            self.lines.append(f"[picture: {words.get('alt')}]")
        if tag == "svg" or (tag in {"section", "h2"} and words.get("id")):
            self.lines.append(f"[{tag} {words.get('id') or words.get('aria-label') or ''}]")
        if tag not in self.WITHIN and not self.quiet:
            self.lines.append("")

    def handle_endtag(self, tag: str) -> None:
        self.quiet -= tag in self.QUIET
        if tag not in self.WITHIN and not self.quiet:
            self.lines.append("")

    def handle_data(self, data: str) -> None:
        if not self.quiet:
            self.lines[-1] += data


def page_text(path: Path, home: Path) -> str:
    """The words and figures of a page of HTML."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    lines = (" ".join(line.split()) for line in page.lines)
    return steady("\n".join(line for line in lines if line), home)
