"""The classification loss: cross-entropy, with one switch for classes of unequal size, and label smoothing.

Targets are class indices N or, from mixup and cutmix, distributions N×K. The mean is over images in every
form, so that accumulated small batches give the gradient of the large one. Logits of any precision are taken
to float32 first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from convscope.core.errors import UserError, unknown_name

Loss = Callable[[Tensor, Tensor], Tensor]
IMBALANCE = ("none", "weights", "sampler", "focal")


def make_loss(
    class_counts: Sequence[int],
    *,
    imbalance: str = "none",
    label_smoothing: float = 0.0,
    gamma: float = 2.0,
) -> Loss:
    """The function (logits N×K, targets N or N×K) → mean loss, a float32 scalar.

    `class_counts`: training images of each class. `imbalance`: "weights" multiplies each class by
    `class_weights`; "focal" is `focal_loss` with `gamma` ≥ 0; "sampler" leaves the loss alone, since images
    are then drawn by `sampling_weights`. `label_smoothing` ε in [0, 1): targets become (1 − ε)·q + ε/K
    (Szegedy and others 2015, arXiv 1512.00567).

    Raises UserError for an unknown `imbalance` or a number out of range.

    >>> loss = make_loss([50, 50])
    >>> round(loss(torch.zeros(4, 2), torch.tensor([0, 1, 1, 0])).item(), 4)
    0.6931
    """
    if imbalance not in IMBALANCE:
        raise unknown_name("imbalance", imbalance, IMBALANCE)
    if not 0.0 <= label_smoothing < 1.0:
        raise UserError(
            f"label smoothing is {label_smoothing}; it must be at least 0 and below 1, such as 0.1"
        )
    if not gamma >= 0.0:
        raise UserError(f"gamma of the focal loss is {gamma}; it must be at least 0, such as 2")
    if imbalance == "focal":
        return lambda logits, targets: focal_loss(
            logits, targets, gamma=gamma, label_smoothing=label_smoothing
        )
    if imbalance == "weights":
        return _weighted(torch.from_numpy(class_weights(class_counts)).float(), label_smoothing)
    return lambda logits, targets: F.cross_entropy(
        logits.float(), targets.float() if targets.ndim == 2 else targets, label_smoothing=label_smoothing
    )


def focal_loss(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, label_smoothing: float = 0.0
) -> Tensor:
    """−Σ_k q_k (1 − p_k)^γ log p_k, the mean over images; p = softmax(logits N×K), q the targets, N or N×K.

    For a class index this is Lin and others 2017, arXiv 1708.02002, equation 4; a mixture of targets gives
    the mixture of their losses. γ = 0 is cross-entropy.

    >>> round(focal_loss(torch.zeros(1, 2), torch.tensor([0])).item(), 4)  # 0.5² · 0.6931
    0.1733
    """
    log_p = F.log_softmax(logits.float(), dim=1)
    # 1 − p as −expm1(log p) keeps its digits where p is near 1; above zero, because x^γ has no slope at 0 for
    # γ < 1.
    missing = (-torch.expm1(log_p)).clamp_min(1e-12)
    q = target_distribution(targets, logits.shape[1], label_smoothing)
    return -(q * missing**gamma * log_p).sum(dim=1).mean()


def target_distribution(targets: Tensor, classes: int, label_smoothing: float = 0.0) -> Tensor:
    """Class indices N or distributions N×K as smoothed float32 distributions N×K.

    >>> target_distribution(torch.tensor([1]), 2, 0.2)
    tensor([[0.1000, 0.9000]])
    """
    q = targets.float() if targets.ndim == 2 else F.one_hot(targets, classes).float()
    return q * (1.0 - label_smoothing) + label_smoothing / classes if label_smoothing else q


def class_weights(class_counts: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights n / (K·n_k) for the K classes with images, so that the mean weight of an image is 1; 0 for
    empty classes.

    The "balanced" heuristic of King and Zeng 2001 (Political Analysis 9).

    >>> class_weights([30, 10, 0]).round(3).tolist()
    [0.667, 2.0, 0.0]
    """
    counts = np.asarray(class_counts, dtype=np.float64)
    if not counts.any():
        raise UserError("there are no training images to weigh; check the data with: convscope scan DATA")
    weights = np.zeros_like(counts)
    filled = counts > 0
    weights[filled] = counts.sum() / (filled.sum() * counts[filled])
    return weights


def sampling_weights(labels: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
    """The probability of each of N images, so that every class with images is drawn equally often; they sum
    to 1.

    >>> sampling_weights([0, 0, 0, 1]).round(3).tolist()
    [0.167, 0.167, 0.167, 0.5]
    """
    values = np.asarray(labels, dtype=np.int64)
    weights = class_weights(np.bincount(values))[values] / len(values)
    result: NDArray[np.float64] = weights / weights.sum()
    return result


def _weighted(weights: Tensor, label_smoothing: float) -> Loss:
    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        nonlocal weights
        weights = weights.to(logits.device)  # copied in the first step only
        q = target_distribution(targets, logits.shape[1], label_smoothing)
        return -(weights * q * F.log_softmax(logits.float(), dim=1)).sum(dim=1).mean()

    return loss
