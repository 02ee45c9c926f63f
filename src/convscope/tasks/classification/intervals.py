"""How far a figure may be off, because it was measured on these images and not on others of their kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision
from convscope.core.seeds import generator
from convscope.tasks.classification.calibration import BINS, bin_of, chance_ece
from convscope.tasks.classification.metrics import TOP, checked, image_losses, in_top

RESAMPLES, LEVEL = 1_000, 0.95
AT_ONCE = 2_000_000
"""Counts in memory: 16 MB as float64, however many images and classes there are."""


class Interval(NamedTuple):
    """From `low` to `high`."""

    low: float
    high: float


def intervals(
    logits: NDArray[Any],
    labels: NDArray[Any] | Sequence[int],
    *,
    decision: Decision | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """95 % intervals of top1, top5 (with more than 5 classes), loss, macro_f1 and ece, by the bootstrap.

    N images are drawn from the N with replacement, 1,000 times, and every figure is measured anew; the
    interval leaves 2.5 % of the values out at each end (the percentile bootstrap, Efron 1979). `decision`:
    whose temperature the ECE is measured with. Chance only ever adds to an ECE, once in the measurement and
    once more in every redrawing, so its lower end is mirrored at the measured value (the basic bootstrap;
    Davison and Hinkley 1997), and is 0 where chance alone gives as much. That interval is wide; over
    simulated data it held the true ECE in 92 to 100 %.

    Where every image is right, or none, redrawing them brings nothing new, and a hundred right ones would
    look like a proof; top1 and top5 then have the interval of Clopper and Pearson (1934), from 0.025^(1/N) to
    1 or its mirror.

    Raises what `classification_metrics` raises.

    >>> logits = np.eye(2)[[0] * 90 + [1] * 10]
    >>> found = intervals(logits, np.zeros(100, int))["top1"]
    >>> 0.82 < found.low < 0.86, 0.94 < found.high < 0.98
    (True, True)
    """
    z, y = checked(logits, labels, np.shape(logits)[-1])
    cells = y * z.shape[1] + z.argmax(axis=1)
    order = np.argsort(cells, kind="stable")  # images of one cell side by side, so that each cell is one sum
    decision = decision or Decision()
    names, values = image_values(z[order], y[order], decision)
    measure = partial(redrawn, cells=cells[order], values=values, classes=z.shape[1])
    drawn = np.concatenate([measure(counts) for counts in resampled(len(y), resamples, seed)])
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail), axis=0)
    found = {name: Interval(float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}
    measured = dict(zip(names, measure(np.ones((1, len(y))))[0].tolist(), strict=True))
    without_spread = tail ** (1 / len(y))
    for name in ("top1", "top5"):
        if measured.get(name) == 1:
            found[name] = Interval(without_spread, 1.0)
        elif measured.get(name) == 0:
            found[name] = Interval(0.0, 1 - without_spread)
    ece = found["ece"]
    by_chance = measured["ece"] <= chance_ece(decision.probabilities(z).max(axis=1))
    return found | {"ece": Interval(0.0 if by_chance else max(0.0, 2 * measured["ece"] - ece.high), ece.high)}


def image_values(
    logits: NDArray[np.float64], labels: NDArray[np.int64], decision: Decision
) -> tuple[list[str], NDArray[np.float64]]:
    """The names of the figures, and the numbers N×M whose sums over images they are made from.

    The last 15 columns are those of the ECE: (correct − confidence), each in the column of its bin.
    """
    probabilities = decision.probabilities(logits)
    confidence, right = probabilities.max(axis=1), logits.argmax(axis=1) == labels
    gaps = np.zeros((len(labels), BINS))
    gaps[np.arange(len(labels)), bin_of(confidence)] = right - confidence
    columns = [right.astype(np.float64), image_losses(logits, labels)]
    names = ["top1", "loss", "macro_f1", "ece"]
    if logits.shape[1] > TOP:
        columns.insert(1, in_top(logits, labels, TOP).astype(np.float64))
        names.insert(1, "top5")
    return names, np.concatenate([np.stack(columns, axis=1), gaps], axis=1)


def redrawn(
    counts: NDArray[np.float64], *, cells: NDArray[np.int64], values: NDArray[np.float64], classes: int
) -> NDArray[np.float64]:
    """The figures of R redrawings, R×F, from how often each of N images was drawn, R×N; every row sums to N.

    `cells` N are places in the confusion matrix, label · K + answer, in rising order; `values` is N×M.
    """
    means = counts @ values / len(cells)
    f1 = macro_f1(counts, cells, classes=classes)
    ece = np.abs(means[:, -BINS:]).sum(axis=1)
    return np.concatenate([means[:, :-BINS], f1[:, None], ece[:, None]], axis=1)


def macro_f1(counts: NDArray[np.float64], cells: NDArray[np.int64], *, classes: int) -> NDArray[np.float64]:
    """Mean F1 of the classes that were drawn at all, R, from counts R×N and `cells` N in rising order.

    >>> macro_f1(np.array([[2.0, 1.0, 1.0]]), np.array([0, 1, 3]), classes=2).round(3).tolist()
    [0.733]
    """
    found, starts = np.unique(cells, return_index=True)
    confusion = np.add.reduceat(counts, starts, axis=1)
    label, answer = np.divmod(found, classes)
    right = label == answer
    there, said = (summed(confusion, of, classes) for of in (label, answer))
    hits = summed(confusion[:, right], label[right], classes)
    f1 = 2 * hits / np.maximum(there + said, 1)
    mean: NDArray[np.float64] = (f1 * (there > 0)).sum(axis=1) / (there > 0).sum(axis=1)
    return mean


def summed(counts: NDArray[np.float64], groups: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    """Counts R×N added up within each of `number` groups, R×G.

    >>> summed(np.array([[1.0, 2.0, 3.0]]), np.array([1, 0, 1]), 3).tolist()
    [[2.0, 4.0, 0.0]]
    """
    order = np.argsort(groups, kind="stable")
    found, starts = np.unique(groups[order], return_index=True)
    sums = np.zeros((len(counts), number))
    if len(found):
        sums[:, found] = np.add.reduceat(counts[:, order], starts, axis=1)
    return sums


def resampled(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each of n images is drawn in n draws with replacement, R×n, as many R at once as fit into
    memory.

    >>> [counts.sum(axis=1).tolist() for counts in resampled(5, 3, seed=0)]
    [[5.0, 5.0, 5.0]]
    """
    rng = generator(seed, "bootstrap")
    at_once = max(1, AT_ONCE // n)
    for start in range(0, resamples, at_once):
        rows = min(at_once, resamples - start)
        drawn = rng.integers(n, size=(rows, n), dtype=np.int32) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)
