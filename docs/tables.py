"""Writes the parts of the documents that come from the code and from result files. `python
docs/tables.py`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import re
import textwrap
from pathlib import Path
from typing import Any

from convscope.core import config

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SECTIONS = {
    "data": config.DataConfig,
    "model": config.ModelConfig,
    "transfer": config.TransferConfig,
    "augment": config.AugmentConfig,
    "train": config.TrainConfig,
    "decision": config.DecisionConfig,
}


def types_of(section: type) -> dict[str, str]:
    """The annotation of each field as it stands in the source: it names the range as well."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(section)))
    body = tree.body[0]
    assert isinstance(body, ast.ClassDef)
    return {
        node.target.id: ast.unparse(node.annotation)
        for node in body.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def readable(annotation: str) -> str:
    """`Annotated[int, Ge(8), Le(1024)] | None` as "int ≥ 8, ≤ 1024, or none"."""
    text = re.sub(r"Annotated\[(\w+), (.*?)\](?=$| \|)", r"\1 \2", annotation)
    for name, sign in {"Ge": "≥", "Gt": ">", "Le": "≤", "Lt": "<"}.items():
        text = re.sub(rf"{name}\(([^)]*)\)", rf"{sign} \1", text)
    text = re.sub(r"Literal\[(.*?)\]", lambda m: " / ".join(w.strip(" '") for w in m[1].split(",")), text)
    text = text.replace("Score", " / ".join(config.SCORES)).replace(" | None", ", or none")
    text = text.replace("dict[str, Any]", "table")
    return re.sub(r"\bstr\b", "text", text)


def configuration() -> str:
    """docs/configuration.md."""
    lines = [
        "# Configuration",
        "",
        "<!-- Written by docs/tables.py from core/config.py. -->",
        "",
        "A setting is given as `--set train.lr=0.05` or in a TOML file, `--config experiment.toml`, with "
        "one section",
        "for each heading below. Defaults come first, then the recipe, the file, the options and at last "
        "`--set`.",
        "Unknown names and values out of range are errors that say what is allowed.",
    ]
    for name, section in SECTIONS.items():
        defaults = dataclasses.asdict(section())
        lines += ["", f"## {name}", "", inspect.cleandoc(section.__doc__ or ""), ""]
        lines += ["| setting | value | default |", "| --- | --- | --- |"]
        for field, annotation in types_of(section).items():
            if not field.startswith("_"):
                default = "none" if defaults[field] is None else json.dumps(defaults[field]).strip('"')
                lines.append(f"| `{name}.{field}` | {readable(annotation)} | {default} |")
    return "\n".join([*lines, "", "`seed` stands at the top, in no section.", ""])


def figures() -> str:
    """The table of the README: what was to be reached, and what was measured."""
    rows = ["| what | measured | reach |", "| --- | --- | --- |"]
    for path in sorted(RESULTS.glob("*.json")):
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lines = result["figures"].get("headline", [])
        rows += [f"| {line['what']} | {line['measured']} | {line['reach']} |" for line in lines]
    return "\n".join(rows)


def documents() -> dict[Path, str]:
    """Every document that is written here, as it should be."""
    readme = ROOT / "README.md"
    marks = re.compile(r"(<!-- figures: begin -->\n).*?(<!-- figures: end -->)", re.DOTALL)
    text = marks.sub(lambda m: m[1] + figures() + "\n" + m[2], readme.read_text(encoding="utf-8"))
    return {ROOT / "docs" / "configuration.md": configuration(), readme: text}


if __name__ == "__main__":
    for document, content in documents().items():
        document.write_text(content, encoding="utf-8")
