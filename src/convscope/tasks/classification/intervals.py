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
MAX_COUNTS = 2_000_000
"""In memory at once: 16 MB as float64, however many images and classes there are."""


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

    N images are drawn from the N with replacement, many times, and every figure is measured anew; the
    interval leaves 2.5 % of the values out at each end (the percentile bootstrap, Efron 1979).

    Args:
        logits: N×K.
        labels: N class indices.
        decision: whose temperature the ECE is measured with.
        resamples: how many times images are drawn.
        seed: decides which.

    Raises:
        UserError: there are no images, or shapes or labels do not fit.
        Failure: a logit is NaN or infinite.

    >>> logits = np.eye(2)[[0] * 90 + [1] * 10]
    >>> low, high = intervals(logits, np.zeros(100, int))["top1"]
    >>> 0.82 < low < 0.86, 0.94 < high < 0.98
    (True, True)
    """
    z, y = checked(logits, labels, np.shape(logits)[-1])
    cells = y * z.shape[1] + z.argmax(axis=1)
    # Images of one cell side by side, so that the count of a cell is one sum over a stretch.
    order = np.argsort(cells, kind="stable")
    decision = decision or Decision()
    names, values = image_values(z[order], y[order], decision)
    measure = partial(redrawn, cells=cells[order], values=values, classes=z.shape[1])
    drawn = np.concatenate([measure(counts) for counts in resampled(len(y), resamples, seed)])
    # Percentiles and not ± 1.96 deviations: near 100 % the distribution is lopsided.
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail), axis=0)
    interval_of = {name: Interval(float(a), float(b)) for name, a, b in zip(names, low, high, strict=True)}
    measured = dict(zip(names, measure(np.ones((1, len(y))))[0].tolist(), strict=True))
    # Where every image is right, or none, all redrawings are equal, and a hundred right ones would look like
    # a proof. Clopper and Pearson 1934 have an interval for that case, from 0.025^(1/N) to 1 or its mirror.
    without_spread = tail ** (1 / len(y))
    for name in ("top1", "top5"):
        if measured.get(name) == 1:
            interval_of[name] = Interval(without_spread, 1.0)
        elif measured.get(name) == 0:
            interval_of[name] = Interval(0.0, 1 - without_spread)
    # Chance only ever adds to an ECE, once in the measurement and once more in every redrawing, so the lower
    # end is mirrored at the measured value (the basic bootstrap, Davison and Hinkley 1997), and is 0 where
    # chance alone gives as much. That is wide: over simulated data it held the true ECE in 92 to 100 %.
    ece = interval_of["ece"]
    by_chance = measured["ece"] <= chance_ece(decision.probabilities(z).max(axis=1))
    return interval_of | {
        "ece": Interval(0.0 if by_chance else max(0.0, 2 * measured["ece"] - ece.high), ece.high)
    }


def image_values(
    logits: NDArray[np.float64], labels: NDArray[np.int64], decision: Decision
) -> tuple[list[str], NDArray[np.float64]]:
    """The figures as sums over images, so that a redrawing is one product of matrices.

    Args:
        logits: N×K.
        labels: N class indices.
        decision: makes the probabilities of the ECE.

    Returns:
        The names of the figures, and numbers N×M whose sums they are made from. The last 15 columns are those
        of the ECE: (correct − confidence), each in the column of its bin.
    """
    probabilities = decision.probabilities(logits)
    confidence, right = probabilities.max(axis=1), logits.argmax(axis=1) == labels
    # |accuracy − confidence| · n of a bin is |Σ (correct − confidence)| over its images.
    gaps = np.zeros((len(labels), BINS))
    gaps[np.arange(len(labels)), bin_of(confidence)] = right - confidence
    # Top-1 and loss are means over images; the F1 is none and is made from the confusion matrix.
    columns = [right.astype(np.float64), image_losses(logits, labels)]
    names = ["top1", "loss", "macro_f1", "ece"]
    if logits.shape[1] > TOP:
        columns.insert(1, in_top(logits, labels, TOP).astype(np.float64))
        names.insert(1, "top5")
    return names, np.concatenate([np.stack(columns, axis=1), gaps], axis=1)


def redrawn(
    counts: NDArray[np.float64], *, cells: NDArray[np.int64], values: NDArray[np.float64], classes: int
) -> NDArray[np.float64]:
    """The F figures of R redrawings, R×F.

    Args:
        counts: how often each of N images was drawn, R×N; every row sums to N.
        cells: N places in the confusion matrix, label · K + predicted class, in rising order.
        values: as `image_values` gives them, N×M.
        classes: K.
    """
    # A redrawn mean is a weighted mean, so 1,000 of them are one product of matrices.
    means = counts @ values / len(cells)
    f1 = macro_f1(counts, cells, classes=classes)
    ece = np.abs(means[:, -BINS:]).sum(axis=1)
    return np.concatenate([means[:, :-BINS], f1[:, None], ece[:, None]], axis=1)


def macro_f1(counts: NDArray[np.float64], cells: NDArray[np.int64], *, classes: int) -> NDArray[np.float64]:
    """The mean F1 of the classes that were drawn at all, R.

    Args:
        counts: R×N, as in `redrawn`, and so are the others.
        cells: N.
        classes: K.

    >>> macro_f1(np.array([[2.0, 1.0, 1.0]]), np.array([0, 1, 3]), classes=2).round(3).tolist()
    [0.733]
    """
    occupied, starts = np.unique(cells, return_index=True)
    confusion = np.add.reduceat(counts, starts, axis=1)
    label, predicted = np.divmod(occupied, classes)
    right = label == predicted
    support, all_predicted = (summed(confusion, of, classes) for of in (label, predicted))
    hits = summed(confusion[:, right], label[right], classes)
    f1 = 2 * hits / np.maximum(support + all_predicted, 1)
    mean: NDArray[np.float64] = (f1 * (support > 0)).sum(axis=1) / (support > 0).sum(axis=1)
    return mean


def summed(counts: NDArray[np.float64], groups: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    """Counts added up within each group, R×G.

    Args:
        counts: R×N.
        groups: the group of each column, N numbers from 0 to G − 1.
        number: G; a group without columns has 0.

    >>> summed(np.array([[1.0, 2.0, 3.0]]), np.array([1, 0, 1]), 3).tolist()
    [[2.0, 4.0, 0.0]]
    """
    order = np.argsort(groups, kind="stable")
    occupied, starts = np.unique(groups[order], return_index=True)
    sums = np.zeros((len(counts), number))
    if len(occupied):
        sums[:, occupied] = np.add.reduceat(counts[:, order], starts, axis=1)
    return sums


def resampled(n: int, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """How often each of n images is drawn in n draws with replacement, R×n, as many R as fit into memory.

    Args:
        n: images.
        resamples: the sum of all R.
        seed: decides which are drawn.

    >>> [counts.sum(axis=1).tolist() for counts in resampled(5, 3, seed=0)]
    [[5.0, 5.0, 5.0]]
    """
    rng = generator(seed, "bootstrap")
    most = max(1, MAX_COUNTS // n)
    # The draws follow one generator, so that results do not depend on how many fit at once.
    for start in range(0, resamples, most):
        rows = min(most, resamples - start)
        drawn = rng.integers(n, size=(rows, n), dtype=np.int32) + n * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)
