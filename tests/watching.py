"""An observer that keeps what it is told."""

from __future__ import annotations

from convscope.core.run.progress import Silent


class Watching(Silent):
    """`lines` that were said and `work` as (what, done, total)."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.work: list[tuple[str, int, int]] = []

    def say(self, text: str, style: str | None = None) -> None:
        self.lines.append(text)

    def progress(self, what: str, done: int, total: int) -> None:
        self.work.append((what, done, total))
