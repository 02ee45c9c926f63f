"""How sure an answer may sound: one number fitted on validation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convscope.core.decision import Decision

BOUNDS = (0.05, 20.0)


def fit_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Decision:
    """The temperature T > 0 that minimises the mean of −log softmax(logits / T)[label]; answers stay the
    same.

    Logits N×K and labels N of images that were not trained on. With fewer than two images, and where no other
    T has a lower loss, T is 1. T is searched between 0.05 and 20, so that a split without an error gives no
    infinite confidence. Guo and others 2017, arXiv 1706.04599.

    >>> round(fit_temperature(np.array([[4.0, 0.0], [4.0, 0.0]]), np.array([0, 1])).temperature)
    20
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import logsumexp

    if len(labels) < 2:
        return Decision()
    scores = np.asarray(logits, np.float64)
    right = scores[np.arange(len(labels)), labels]

    def loss(log_t: float) -> float:
        beta = np.exp(-log_t)
        return float(np.mean(logsumexp(scores * beta, axis=1) - right * beta))

    found = minimize_scalar(loss, bounds=np.log(BOUNDS), method="bounded")
    fitted = round(float(np.exp(found.x)), 4)
    return Decision(temperature=fitted if loss(np.log(fitted)) < loss(0.0) else 1.0)
