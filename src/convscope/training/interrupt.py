"""Ctrl-C as a request: the step under way is finished, then the run ends with what it reached."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupt:
    """While this is entered, the first SIGINT or SIGTERM sets `asked`; a second one stops at once.

    Only the main thread can catch signals; elsewhere `asked` stays False.
    """

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        # Python refuses to set a handler in any other thread.
        if threading.current_thread() is threading.main_thread():
            # docker stop sends SIGTERM 10 seconds before it kills, Slurm 30 (KillWait).
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # A notebook has a handler of its own, which must work afterwards.
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        # Whoever asks twice does not want to wait for the update under way.
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
