"""Which images the network gets wrong, the surest first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision


def most_confident_errors(
    logits: NDArray[Any], labels: NDArray[np.int64], decision: Decision, *, count: int = 20
) -> NDArray[np.int64]:
    """Positions of at most `count` wrong answers, the most probable first, as `decision` has it; of equals
    the earlier.

    >>> logits = np.log([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7]])
    >>> most_confident_errors(logits, np.array([1, 1, 1]), Decision()).tolist()
    [0, 1]
    """
    wrong = np.flatnonzero(np.asarray(logits).argmax(axis=1) != labels)
    sure = decision.probabilities(np.asarray(logits)[wrong]).max(axis=1)
    return wrong[np.argsort(-sure, kind="stable")[:count]]


def cells(
    logits: NDArray[Any], labels: NDArray[np.int64], decision: Decision
) -> dict[tuple[int, int], NDArray[np.int64]]:
    """The images in each cell of the confusion matrix: (label, answer) to positions.

    The most probable come first, as `decision` has it. Only cells that hold images, row after row.

    >>> found = cells(np.log([[0.6, 0.4], [0.9, 0.1], [0.2, 0.8]]), np.array([1, 1, 1]), Decision())
    >>> {cell: positions.tolist() for cell, positions in found.items()}
    {(1, 0): [1, 0], (1, 1): [2]}
    """
    z = np.asarray(logits)
    answers = z.argmax(axis=1)
    sure = decision.probabilities(z).max(axis=1)
    order = np.lexsort((-sure, answers, labels))
    place = labels[order] * z.shape[1] + answers[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    return {
        (int(labels[group[0]]), int(answers[group[0]])): group
        for group in np.split(order, starts[1:])
        if len(group)
    }
