"""What a person sees while work goes on: a live line on a terminal, a line an epoch in a file or a pipe."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console

from convscope.core.run.progress import epoch_line

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Screen(Console):
    """Standard output, which may go away (`| head`, a closed terminal): work goes on then, in silence."""

    def on_broken_pipe(self) -> None:
        """Write no more; rich would end the program here, in the middle of a training."""
        with suppress(SystemExit):
            super().on_broken_pipe()


class Terminal:
    """The observer of the command line. `quiet` shows nothing, for a verb whose output another program reads.

    >>> terminal = Terminal(quiet=True)
    >>> with terminal:
    ...     terminal.say("nothing to see")
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        # rich would colour each number, and break paths, which then cannot be copied.
        self.console = console or Screen(quiet=quiet, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def say(self, text: str, style: str | None = None) -> None:
        """Write a line above the live one; square brackets in it stay what they are."""
        self.console.print(text, style=style, markup=False)

    def progress(self, what: str, done: int, total: int) -> None:
        """Show how far counted work is, such as scanning; what is done leaves no line behind."""
        if done < total:
            self._show(what, done, total, "")
        else:
            self._clear()

    def step(self, place: tuple[int, int], whole: tuple[int, int], figures: Mapping[str, float]) -> None:
        """Show how far training is, with the time left of the whole run.

        Args:
            place: epoch and batch, from 0.
            whole: epochs of the run and batches of an epoch.
            figures: loss, rate (images a second) and the score so far, under its name.
        """
        (epoch, batch), (epochs, batches) = place, whole
        score = next(name for name in figures if name not in ("loss", "rate"))
        text = f"loss {figures['loss']:.3f}  {score} {figures[score]:.1%}  {figures['rate']:,.0f} images/s"
        self._show(f"epoch {epoch + 1}/{epochs}", epoch * batches + batch, epochs * batches, text)

    def epoch(self, row: Mapping[str, Any], epochs: int) -> None:
        """Write the line of a finished epoch."""
        self.say(epoch_line(row, epochs))

    def _clear(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _show(self, what: str, done: int, total: int, text: str) -> None:
        # In a file or a pipe every redraw would be a line of its own.
        if not self.console.is_terminal or self.console.quiet:
            return
        if self._bar is None:
            self._bar = _bar(self.console)
            self._bar.start()
            self._task = self._bar.add_task(what, total=total, text=text)
        if self._task is not None:
            self._bar.update(self._task, description=what, completed=done, total=total, text=text)


def _bar(console: Console) -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        # rich's 40 columns leave too little for loss, score and rate.
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[text]}"),
        console=console,
        # The bar goes when the work is done, so that the lines of epochs stay together.
        transient=True,
        # rich's default is 10, and each redraw takes time from the training.
        refresh_per_second=4,
    )
