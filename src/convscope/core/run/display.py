"""What a person sees while a network trains: a live line on a terminal, a line an epoch everywhere else."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Screen(Console):
    """Standard output, which may go away (`| head`, a closed terminal): work goes on then, in silence."""

    def on_broken_pipe(self) -> None:
        """Write no more; rich would end the program here, in the middle of a training."""
        with suppress(SystemExit):
            super().on_broken_pipe()


class Display:
    """A progress display. On a terminal it moves; in a file or a pipe it writes a line an epoch; quiet,
    nothing.

    >>> display = Display(quiet=True)
    >>> with display:
    ...     display.say("nothing to see")
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = console or Screen(quiet=quiet, highlight=False, soft_wrap=True)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def say(self, text: str, style: str | None = None) -> None:
        """Write a line above the live one; square brackets in it stay what they are."""
        self.console.print(text, style=style, markup=False)

    def work(self, what: str, done: int, total: int) -> None:
        """Progress of a piece of work that is counted: scanning, decoding, downloading."""
        self._show(what, done, total, "")

    def step(self, place: tuple[int, int], whole: tuple[int, int], figures: dict[str, float]) -> None:
        """Progress within training: rate, loss and accuracy so far; the time left is that of the whole run.

        `place`: epoch and batch, counted from 0; `whole`: epochs of the run and batches of an epoch.
        """
        (epoch, batch), (epochs, batches) = place, whole
        text = (
            f"loss {figures['loss']:.3f}  accuracy {figures['accuracy']:.1%}  {figures['rate']:,.0f} images/s"
        )
        self._show(f"epoch {epoch + 1}/{epochs}", epoch * batches + batch, epochs * batches, text)

    def epoch(self, row: dict[str, Any], epochs: int) -> None:
        """One finished epoch."""
        best = "  best" if row["best"] else ""
        self.say(
            f"epoch {row['epoch']:>3}/{epochs}  loss {row['train_loss']:.3f}  accuracy "
            f"{row['train_accuracy']:6.2%}  "
            f"validation {row['validation_accuracy']:6.2%}  {row['images_per_second']:>8,.0f} images/s{best}"
        )

    def clear(self) -> None:
        """Take the live line away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = self._task = None

    def _show(self, what: str, done: int, total: int, text: str) -> None:
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
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[text]}"),
        console=console,
        transient=True,
        refresh_per_second=4,
    )
