"""Work on many images with threads; the answers come in the order of the questions, and only a few wait at a
time.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def ordered_parallel_map(
    work: Callable[[A], B], items: Iterable[A], *, threads: int | None = None
) -> Iterator[B]:
    """`work(item)` for each item, in order, in `threads` threads (by default one a processor).

    Threads, not processes: Pillow decodes and resizes outside the interpreter's lock. At most four answers a
    thread wait to be fetched, so that memory does not grow with the number of items. What `work` raises is
    raised here.

    >>> list(ordered_parallel_map(str, [3, 1, 2], threads=2))
    ['3', '1', '2']
    """
    count = threads or os.cpu_count() or 1
    waiting: deque[Future[B]] = deque()
    with ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 4 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
