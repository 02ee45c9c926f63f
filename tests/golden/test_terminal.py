"""What people read: every verb, its help, and what it says to usual mistakes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from golden.golden_files import RANKED, USUAL, check
from golden.reading import terminal
from golden.road import ERRORS, VERBS, WALK, said, said_afresh

WIDE = {
    "summary": "summary",
    "summary_run": "summary A",
    "scan": "scan photos",
    "predict": "predict H photos/checks",
    "compare": "compare A B B-2 T O",
}
"""Tables that use a wide terminal."""


@pytest.mark.parametrize("step", WALK)
def test_a_step_of_the_road(road: Path, step: str) -> None:
    said = (road / "said" / f"{step}.txt").read_text(encoding="utf-8")
    check(f"terminal/{step}.txt", terminal(said, road), RANKED if step.startswith("explain") else USUAL)


@pytest.mark.parametrize("step", WIDE)
def test_a_table_in_a_wide_terminal(road: Path, step: str) -> None:
    with contextlib.chdir(road):
        check(f"terminal_120/{step}.txt", terminal(said(WIDE[step], columns=120), road))


@pytest.mark.parametrize("columns", [80, 120])
def test_help(columns: int) -> None:
    first = [said_afresh(words, columns=columns) for words in ("", "--help", "--version")]
    verbs = [said(f"{verb} --help", columns=columns) for verb in VERBS]
    check(f"help_{columns}.txt", "\n".join([*first, *verbs]))


@pytest.mark.parametrize("verb", ERRORS)
def test_mistakes(road: Path, verb: str) -> None:
    with contextlib.chdir(road):
        heard = [terminal(said(words), road) for words in ERRORS[verb]]
    check(f"mistakes/{verb or 'convscope'}.txt", "\n".join(heard))
