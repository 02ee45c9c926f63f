"""Golden files: text of what the program says and writes, compared word by word and number by number.

A file under `recorded/` is what was found when somebody last accepted it. What changes by nature (dates,
seconds, rates, hardware, versions, temporary paths) is a placeholder before it is compared or kept. Numbers
may differ a little, since other processors add up in another order; see `Tolerance`. To accept what is found
now, run `COMMAND` and read the diff.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "recorded"
SWITCH = "CONVSCOPE_ACCEPT"
COMMAND = f"{SWITCH}=1 OMP_NUM_THREADS=1 .venv/bin/python -m pytest tests/golden"


@dataclass(frozen=True)
class Tolerance:
    """What two numbers may differ by: a share of the larger one, or as such, whichever is more.

    Ten times what was measured between AVX-512, AVX2 and SSE4.1 (`ATEN_CPU_CAPABILITY`,
    `ONEDNN_MAX_CPU_ISA`) for runs of a few gentle steps.
    """

    relative: float = 5e-4
    absolute: float = 2e-6


USUAL = Tolerance()
RANKED = Tolerance(absolute=2e-3)
"""Of figures that hang on the order of nearly equal places in a heat map."""
LINES = 40
"""Of a diff, in a message."""

NUMBER = re.compile(r"(?<![\w.])([-+−]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)(?![\w])")
RULE = re.compile(r"[━─═┏┓┗┛┡┩┳╇┻┼├┤┬┴└┘┌┐╭╮╰╯]+")


def same(recorded: str, found: str, tolerance: Tolerance = USUAL) -> bool:
    """Whether two numbers as they are written are one: whole ones exactly, others within the tolerance.

    What was rounded for people may differ by one in its last place: 0.1249 and 0.1251 are 0.12 and 0.13.

    >>> same("12", "13"), same("0.5312", "0.5313"), same("0.5312", "0.5318"), same("1.23456e-9", "0.0")
    (False, True, False, True)
    """
    if recorded == found:
        return True
    if not any(sign in text for text in (recorded, found) for sign in ".e"):
        return False
    a, b = (float(text.replace(",", "").replace("−", "-")) for text in (recorded, found))
    place = max(_last_place(recorded), _last_place(found)) * 1.001
    return abs(a - b) <= max(tolerance.relative * max(abs(a), abs(b)), tolerance.absolute, place)


def _last_place(text: str) -> float:
    """What one in the last place is worth; 0 for all the digits of a float, which nobody rounded.

    >>> _last_place("0.53"), _last_place("2,130"), _last_place("2.1303239510509"), _last_place("1.2e-05")
    (0.01, 0.0, 0.0, 0.0)
    """
    decimals = len(text.partition(".")[2])
    return 10.0**-decimals if 0 < decimals <= 4 and "e" not in text else 0.0


def words_and_numbers(line: str) -> tuple[list[str], list[str]]:
    """The words of a line, with a # for each number, and the numbers. Frames and widths do not count.

    >>> words_and_numbers("│ accuracy  │  93.02% │")
    (['│', 'accuracy', '│', '#%', '│'], ['93.02'])
    """
    text = RULE.sub("─", line)
    return NUMBER.sub("#", text).split(), NUMBER.findall(text)


def differences(recorded: str, found: str, tolerance: Tolerance = USUAL) -> list[str]:
    """The lines that differ, as a diff shows them; none where all is within the tolerance."""
    old, new = recorded.splitlines(), found.splitlines()
    old_words, new_words = ([" ".join(words_and_numbers(line)[0]) for line in lines] for lines in (old, new))
    matcher = difflib.SequenceMatcher(None, old_words, new_words, autojunk=False)
    result: list[str] = []
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            result += [f"  line {i1 + 1}", *(f"- {line}" for line in old[i1:i2])]
            result += [f"+ {line}" for line in new[j1:j2]]
            continue
        for number, (a, b) in enumerate(zip(old[i1:i2], new[j1:j2], strict=True), i1 + 1):
            pairs = zip(words_and_numbers(a)[1], words_and_numbers(b)[1], strict=True)
            wrong = [f"{x} → {y}" for x, y in pairs if not same(x, y, tolerance)]
            if wrong:
                result += [f"  line {number}: {', '.join(wrong)}", f"- {a}", f"+ {b}"]
    return result


def check(name: str, found: str, tolerance: Tolerance = USUAL, *, folder: Path = FOLDER) -> None:
    """Compare `found` with the golden file `name`; with the switch, keep it instead where it is another."""
    path = folder / name
    found = "\n".join(line.rstrip() for line in found.splitlines()).strip("\n") + "\n"
    recorded = path.read_text(encoding="utf-8") if path.is_file() else ""
    wrong = differences(recorded, found, tolerance)
    if not wrong:
        return
    if os.environ.get(SWITCH):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found, encoding="utf-8")
        return
    shown = [line[:200] for line in wrong[:LINES]]
    rest = [f"… and {len(wrong) - LINES} lines more"] if len(wrong) > LINES else []
    raise AssertionError(
        "\n".join(
            [
                f"golden file {path.name} is another (- recorded, + found):",
                *shown,
                *rest,
                f"accept: {COMMAND}",
            ]
        )
    )


CHANGING = {
    *("date", "seconds", "epoch_seconds", "images_per_second", "throughput"),
    *("cpu", "cores", "system", "machine", "torch", "versions", "weights_sha256"),
}
"""Keys of JSON whose values change by nature, or with the last digit of a weight."""


def plain(value: Any) -> Any:
    """A JSON value with placeholders for what changes by nature.

    >>> plain({"seconds": {"n": 1, "mean": 0.3}, "top1": 0.9})
    {'seconds': '<seconds>', 'top1': 0.9}
    """
    if isinstance(value, dict):
        return {key: f"<{key}>" if key in CHANGING else plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def json_text(value: Any) -> str:
    """A JSON value for a golden file: a list of plain values on one line, everything else a line each."""
    return "\n".join(_lines(plain(value), ""))


def _lines(value: Any, indent: str) -> Iterator[str]:
    items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for key, item in items:
        head = f"{indent}{key}: " if isinstance(value, dict) else f"{indent}- "
        if isinstance(item, dict | list) and item and any(isinstance(x, dict | list) for x in _below(item)):
            yield head.rstrip()
            yield from _lines(item, indent + "  ")
        else:
            yield head + json.dumps(item, ensure_ascii=False)


def _below(item: Any) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else item
