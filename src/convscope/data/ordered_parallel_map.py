"""Work on many images in threads; results come in the order of the images, and only a few wait at a time."""

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
    """`work(item)` for each item, in order.

    Args:
        work: is called in threads; what it raises is raised here.
        items: are taken as they are needed.
        threads: how many; one a processor by default.

    Returns:
        The results, lazily. At most four a thread wait to be fetched, so that memory does not grow with the
        items.

    >>> list(ordered_parallel_map(str, [3, 1, 2], threads=2))
    ['3', '1', '2']
    """
    count = threads or os.cpu_count() or 1
    waiting: deque[Future[B]] = deque()
    # Threads, not processes: Pillow decodes and resizes outside the interpreter's lock.
    with ThreadPoolExecutor(count) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > 4 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            # Reached too when the caller stops half-way: threads would go on decoding what nobody takes.
            pool.shutdown(wait=True, cancel_futures=True)
