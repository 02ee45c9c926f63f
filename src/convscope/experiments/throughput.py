"""How many images a second a network answers, measured so that two networks can be compared."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Predictor

REPEATS, SECONDS = 5, 0.5


def measure_throughput(
    predictor: Predictor, images: NDArray[np.uint8], *, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Images a second: N by the median time that `predict` takes for N prepared images, uint8 N×H×W×C.

    Normalisation is within it, decoding is not. One call goes before the clock, since the first one prepares
    kernels and memory; then there are at least 5 calls and half a second of them. The median leaves out what
    else the machine did. `clock` gives seconds.

    >>> class Constant:
    ...     classes = ("a", "b")
    ...     def predict(self, images):
    ...         return np.zeros((len(images), 2), np.float32)
    >>> ticks = iter(range(100))
    >>> measure_throughput(Constant(), np.zeros((8, 4, 4, 1), np.uint8), clock=lambda: next(ticks))
    8.0
    """
    predictor.predict(images)
    times: list[float] = []
    while len(times) < REPEATS or sum(times) < SECONDS:
        start = clock()
        predictor.predict(images)
        times.append(max(clock() - start, 1e-9))
    return len(images) / statistics.median(times)
