"""What a network's decision is made from at the end of training: temperature, and the threshold of
*unknown*.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convscope.core.config import DecisionConfig
from convscope.core.decision import Decision
from convscope.tasks.classification.temperature import fit_temperature


def fit_decision(logits: NDArray[np.float32], labels: NDArray[np.int64], config: DecisionConfig) -> Decision:
    """The decision for logits N×K and labels N of validation images, which were not trained on."""
    temperature = fit_temperature(logits, labels).temperature
    return fit_threshold(Decision(temperature, config.score), logits, coverage=config.coverage)


def fit_threshold(decision: Decision, logits: NDArray[np.float32], *, coverage: float) -> Decision:
    """`decision` with the threshold that a share `coverage` (0 to 1) of the N answers, logits N×K, reaches.

    At least that share is kept; of equal scores all are. With a coverage of 1, and without images, there is
    no threshold: a score that is lower than any seen on validation says nothing yet.

    >>> logits = np.log([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])
    >>> fit_threshold(Decision(), logits, coverage=0.75).unknown(logits).tolist()
    [False, False, False, True]
    """
    if coverage >= 1 or not len(logits):
        return replace(decision, threshold=None)
    scores = np.sort(decision.scores(logits))
    # Of n scores in rising order, those from here on are kept: n less this index is coverage · n, rounded up.
    first = min(int(np.floor((1 - coverage) * len(scores) + 1e-9)), len(scores) - 1)
    return replace(decision, threshold=float(scores[first]))
