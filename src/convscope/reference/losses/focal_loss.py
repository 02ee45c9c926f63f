"""Focal loss: cross-entropy with less weight on easy images.

Among a hundred thousand easy negatives a few hard images hardly change the mean, however wrong they are. A
factor (1 − p)^γ takes weight from what is already right.

Source: Lin, Goyal, Girshick, He and Dollár 2017, section 3, https://arxiv.org/abs/1708.02002
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array
from convscope.reference.losses.cross_entropy import check_logits, class_labels, weights_of
from convscope.reference.losses.softmax import log_softmax


def focal_loss(
    logits: ArrayLike, labels: ArrayLike, *, gamma: float = 2.0, weights: ArrayLike | None = None
) -> float:
    """Compute L = −Σ_n w_n·(1 − p_n)^γ·log p_n / Σ_n w_n.

    p_n is the probability of the label in softmax(logits_n) and w_n the weight of its class. γ = 0 is
    `cross_entropy`. With γ = 2 an image at p = 0.9 counts a hundredth, one at p = 0.1 four fifths.

    Args:
        logits: N×K.
        labels: N whole numbers, 0 to K − 1.
        gamma: γ, at least 0.
        weights: K numbers, at least 0 (the paper's α); all 1 when None.

    Returns:
        L, at least 0.

    Raises:
        ShapeError: logits, labels or weights of another shape.
        ValueError: labels that name no class, weights or γ out of range.

    >>> round(focal_loss([[0, 0]], [0]), 4)  # 0.5² · 0.6931
    0.1733
    """
    log_p, missing, fraction = _of_labels(logits, labels, gamma, weights)
    return -float((fraction * missing**gamma * log_p).sum())


def focal_loss_backward(
    dy: float, logits: ArrayLike, labels: ArrayLike, *, gamma: float = 2.0, weights: ArrayLike | None = None
) -> Array:
    """Compute the gradient of `focal_loss`: that of cross-entropy times a factor for each image.

        dlogits_nk = dy·w_n/Σw · (1 − p)^γ·(1 − γ·p·log p/(1 − p)) · (p_nk − [k is the label])

    with p the probability of the label. With l = log p and dp/dl = p, the product rule gives

        d/dl of −(1 − p)^γ·l = −(1 − p)^γ + γ·(1 − p)^(γ − 1)·p·l = −(1 − p)^γ·(1 − γ·p·l/(1 − p))

    and ∂l/∂x_k = [k is the label] − p_k.

    Args:
        dy: ∂/∂L of what is computed from the loss; 1 where that is the loss itself.
        logits: N×K, as in `focal_loss`, and so the rest.
        labels: N whole numbers, 0 to K − 1.
        gamma: γ, at least 0.
        weights: K numbers, at least 0; all 1 when None.

    Returns:
        dlogits, N×K.

    Raises:
        ShapeError: logits, labels or weights of another shape.
        ValueError: labels that name no class, weights or γ out of range.

    >>> focal_loss_backward(1.0, [[0, 0]], [0], gamma=0).tolist()
    [[-0.5, 0.5]]
    """
    log_p, missing, fraction = _of_labels(logits, labels, gamma, weights)
    # Towards p = 1 log p/(1 − p) tends to −1, the value at p = 1 itself, where it is 0/0.
    ratio = np.divide(log_p, missing, out=np.full_like(log_p, -1), where=missing > 0)
    # At γ = 0 this is 1, and cross-entropy is left.
    pull = missing**gamma * (1 - gamma * np.exp(log_p) * ratio)
    logits = check_logits(logits)
    p = np.exp(log_softmax(logits))
    # p − one-hot, the gradient of cross-entropy.
    p[np.arange(len(p)), np.asarray(labels)] -= 1
    dlogits: Array = p * (dy * fraction * pull)[:, None]
    return dlogits


def _of_labels(
    logits: ArrayLike, labels: ArrayLike, gamma: float, weights: ArrayLike | None
) -> tuple[Array, Array, Array]:
    """Of each image's label: log p, 1 − p, and its weight as a fraction of all."""
    logits = check_logits(logits)
    n, k = logits.shape
    if not 0 <= gamma < np.inf:
        raise ValueError(f"gamma is {gamma}; it is at least 0, such as the paper's 2")
    index = class_labels(labels, n, k)
    w, total = weights_of(index, k, weights)
    log_p = log_softmax(logits)[np.arange(n), index]
    # 1 − p as −expm1(log p) keeps its digits where p is near 1.
    return log_p, -np.expm1(log_p), (w[index] / total).astype(logits.dtype)
