"""How work tells a person how far it is: one protocol for everything that takes time.

    progress(what, done, total)

`what` is the kind of work in a word or two, such as "decode train". A training also has lines to say and
epochs to show; an `Observer` takes all of that. `Lines` and `Silent` need nothing but Python.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the kind of work, what is done of it and the total."""
SECONDS_BETWEEN_FRAMES = 0.1
"""Of a live line: faster is not read, and a scan reports every image."""


class Observer(Protocol):
    """Who watches a run. Entered for as long as it goes on; a live line is gone when it is left."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, text: str, style: str | None = None) -> None:
        """Show a line that stays."""

    def progress(self, what: str, done: int, total: int) -> None:
        """Show how far counted work is; `Progress` for everything below."""

    def step(self, place: tuple[int, int], whole: tuple[int, int], figures: Mapping[str, float]) -> None:
        """Show how far training is.

        Args:
            place: epoch and batch, from 0.
            whole: epochs of the run and batches of an epoch.
            figures: loss, rate (images a second) and the score so far, under its name.
        """

    def epoch(self, row: Mapping[str, Any], epochs: int) -> None:
        """Show a finished epoch: its row of the history, out of `epochs`."""


class Silent:
    """An observer that shows nothing.

    >>> with Silent() as observer:
    ...     observer.say("nothing to see")
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to take away."""

    def say(self, text: str, style: str | None = None) -> None:
        """Show nothing."""

    def progress(self, what: str, done: int, total: int) -> None:
        """Show nothing."""

    def step(self, place: tuple[int, int], whole: tuple[int, int], figures: Mapping[str, float]) -> None:
        """Show nothing."""

    def epoch(self, row: Mapping[str, Any], epochs: int) -> None:
        """Show nothing."""


class Lines(Silent):
    """An observer that writes what is said and a line an epoch; on a terminal, also a live line.

    >>> with Lines() as observer:
    ...     observer.say("the run goes to artifacts/a")
    the run goes to artifacts/a
    """

    def __init__(self) -> None:
        self._width, self._shown = 0, 0.0

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def say(self, text: str, style: str | None = None) -> None:  # noqa: ARG002
        """Write the line to standard output, as it is now: a notebook or a test may have replaced it."""
        self._clear()
        sys.stdout.write(f"{text}\n")

    def progress(self, what: str, done: int, total: int) -> None:
        """Show the count in the live line, until all is done."""
        if done < total:
            self._show(f"{what}  {done:,} of {total:,}")
        else:
            self._clear()

    def step(self, place: tuple[int, int], whole: tuple[int, int], figures: Mapping[str, float]) -> None:
        """Show epoch, batch and figures in the live line."""
        shown = "  ".join(f"{name} {value:,.3f}" for name, value in figures.items() if name != "rate")
        (epoch, batch), (epochs, batches) = place, whole
        self._show(f"epoch {epoch + 1}/{epochs}  batch {batch}/{batches}  {shown}")

    def epoch(self, row: Mapping[str, Any], epochs: int) -> None:
        """Write the line of `epoch_line`."""
        self.say(epoch_line(row, epochs))

    def _show(self, text: str) -> None:
        # Not time.time(): a clock that is set back would stop the live line.
        now = time.monotonic()
        if now - self._shown < SECONDS_BETWEEN_FRAMES or not sys.stdout.isatty():
            return
        # Padded: the end of a longer line before it would stay on the screen.
        sys.stdout.write(f"\r{text.ljust(self._width)}")
        sys.stdout.flush()
        self._width, self._shown = len(text), now

    def _clear(self) -> None:
        if self._width:
            sys.stdout.write(f"\r{' ' * self._width}\r")
            self._width = 0


def epoch_line(row: Mapping[str, Any], epochs: int) -> str:
    """A finished epoch in one line, whatever the task's score is called.

    >>> row = {"epoch": 1, "train_loss": 0.5, "train_accuracy": 0.8, "validation_accuracy": 0.7, "best": True}
    >>> epoch_line(row | {"images_per_second": 900.0}, 12)
    'epoch   1/12  loss 0.500  accuracy 80.00%  validation 70.00%       900 images/s  best'
    """
    score = next(
        key.removeprefix("train_") for key in row if key.startswith("train_") and key != "train_loss"
    )
    best = "  best" if row["best"] else ""
    return (
        f"epoch {row['epoch']:>3}/{epochs}  loss {row['train_loss']:.3f}  "
        f"{score} {row[f'train_{score}']:6.2%}  "
        f"validation {row[f'validation_{score}']:6.2%}  {row['images_per_second']:>8,.0f} images/s{best}"
    )
