"""Cross-entropy: how surprised a network is by the true classes, and the gradient that starts all learning.

Legend: N images, K classes; p = softmax(logits) what the network says, q what it should say, w class weights.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from convscope.reference.arrays import Array, ShapeError, as_floats, check_same
from convscope.reference.losses.softmax import log_softmax, softmax


def cross_entropy(
    logits: ArrayLike, labels: ArrayLike, *, weights: ArrayLike | None = None, smoothing: float = 0.0
) -> float:
    """Compute L = −Σ_n Σ_k w_k·q_nk·log p_nk / Σ_n w_label(n), with p = softmax(logits), in nats.

    q_n is 1 for the label and 0 elsewhere. Smoothing takes ε off the label and distributes it evenly over all
    K classes, q = (1 − ε)·one-hot + ε/K, so that no logit has to run off to infinity. A weight w_k counts
    each image of class k as that many. The mean is weighted, as in PyTorch: with ε = 0 and one class, its
    weight cancels.

    Args:
        logits: N×K.
        labels: N whole numbers, 0 to K − 1.
        weights: K numbers, at least 0; all 1 when None.
        smoothing: ε, from 0 to 1.

    Returns:
        L, at least 0; log K where all classes are equally probable.

    Raises:
        ShapeError: logits, labels or weights of another shape.
        ValueError: labels that name no class, weights or smoothing out of range.

    >>> round(cross_entropy([[0, 0]], [0]), 4)
    0.6931

    Source: smoothing by Szegedy and others 2015, https://arxiv.org/abs/1512.00567, section 7.
    """
    logits, q, total = _checked(logits, labels, weights, smoothing)
    # log p comes from the logits in one step; log(softmax) would be −∞ for a confident error.
    return -float((q * log_softmax(logits)).sum() / total)


def cross_entropy_backward(
    dy: float,
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    smoothing: float = 0.0,
) -> Array:
    """Compute the gradient of `cross_entropy`.

        dlogits_nk = dy·(p_nk·Σ_j w_j·q_nj − w_k·q_nk) / Σ_n w_label(n)

    log p_j = x_j − log Σ e^x, so ∂log p_j/∂x_k = δ_jk − p_k, and with a_j = w_j·q_j

        ∂/∂x_k of −Σ_j a_j·log p_j = −a_k + p_k·Σ_j a_j

    Without weights that is (p − q)/N: each logit is pulled by the error of its probability.

    Args:
        dy: ∂/∂L of what is computed from the loss; 1 where that is the loss itself.
        logits: N×K, as in `cross_entropy`, and so the rest.
        labels: N whole numbers, 0 to K − 1.
        weights: K numbers, at least 0; all 1 when None.
        smoothing: ε, from 0 to 1.

    Returns:
        dlogits, N×K.

    Raises:
        ShapeError: logits, labels or weights of another shape.
        ValueError: labels that name no class, weights or smoothing out of range.

    >>> cross_entropy_backward(1.0, [[0, 0]], [0]).tolist()
    [[-0.5, 0.5]]
    """
    logits, q, total = _checked(logits, labels, weights, smoothing)
    # p − q needs no logarithm: unlike ∂log p/∂p = 1/p it stays finite where p is 0.
    dlogits: Array = (softmax(logits) * q.sum(axis=1, keepdims=True) - q) * (dy / total)
    return dlogits


def class_labels(labels: ArrayLike, count: int, classes: int) -> NDArray[np.int64]:
    """Check that labels are one class for each image.

    Args:
        labels: whole numbers from 0 to `classes` − 1.
        count: N, the number of images.
        classes: K, the number of classes.

    Returns:
        The labels as int64, N.

    Raises:
        ShapeError: not one label an image.
        ValueError: labels that are no whole numbers or name no class; the message says which image.

    >>> class_labels([0, 2], 2, 3)
    array([0, 2])
    >>> class_labels([0, 3], 2, 3)
    Traceback (most recent call last):
    ...
    ValueError: label 3 of image 1 is none of 3 classes; labels are whole numbers from 0 to 2
    """
    index = np.asarray(labels)
    check_same(index.shape, (count,), name="labels", why="N, one label an image")
    if count and index.dtype.kind not in "iu":
        raise ValueError(
            f"labels are whole numbers from 0 to {classes - 1}, one an image; given: {index.dtype}"
        )
    # Without this check −1 would silently pick the last logit: NumPy counts negative indices from the end.
    wrong = np.flatnonzero((index < 0) | (index >= classes))
    if wrong.size:
        raise ValueError(
            f"label {index[wrong[0]]} of image {wrong[0]} is none of {classes} classes; "
            f"labels are whole numbers from 0 to {classes - 1}"
        )
    return index.astype(np.int64, copy=False)


def weights_of(
    labels: NDArray[np.int64], classes: int, weights: ArrayLike | None
) -> tuple[NDArray[np.float64], float]:
    """Check the class weights and sum them over the images.

    Args:
        labels: N classes, 0 to K − 1.
        classes: K.
        weights: K numbers, at least 0; all 1 when None.

    Returns:
        The K weights and Σ_n w_label(n), by which a weighted mean divides.

    Raises:
        ShapeError: not K weights.
        ValueError: a weight below 0 or not finite, or none above 0 among the labels.

    >>> weights_of(np.array([0, 1, 1]), 2, [1.0, 3.0])
    (array([1., 3.]), 7.0)
    """
    values = np.ones(classes) if weights is None else np.asarray(weights, np.float64)
    check_same(values.shape, (classes,), name="weights", why="K, one a class")
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(f"weights of classes are finite and at least 0; given: {values.tolist()}")
    total = float(values[labels].sum())
    if not total > 0:
        raise ValueError(
            f"a weighted mean over {len(labels)} images divides by their weights, which sum to {total}"
        )
    return values, total


def check_logits(logits: ArrayLike) -> Array:
    """Logits as floats; a ShapeError unless they are N×K with at least one image and one class.

    >>> check_logits([[1, 2]])
    array([[1., 2.]])
    """
    (logits,) = as_floats(logits)
    if logits.ndim != 2 or 0 in logits.shape:
        raise ShapeError(
            f"logits are N×K, images by classes, and a mean needs N of 1 or more; given: {logits.shape}"
        )
    return logits


def _checked(
    logits: ArrayLike, labels: ArrayLike, weights: ArrayLike | None, smoothing: float
) -> tuple[Array, Array, float]:
    """The logits, w·q (N×K), and Σ_n w_label(n)."""
    logits = check_logits(logits)
    n, k = logits.shape
    index = class_labels(labels, n, k)
    w, total = weights_of(index, k, weights)
    if not 0.0 <= smoothing <= 1.0:
        raise ValueError(
            f"smoothing is {smoothing}; it is the fraction taken off the label, from 0 to 1, such as 0.1"
        )
    # Rows of q sum to 1: (1 − ε) + K·ε/K.
    q = np.full((n, k), smoothing / k)
    q[np.arange(n), index] += 1 - smoothing
    # In float64 up to here, then in the type of the logits, or float64 weights would widen the gradient.
    return logits, (w * q).astype(logits.dtype), total
