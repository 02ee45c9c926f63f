"""The classification loss: cross-entropy, with one switch for classes of unequal size, and label smoothing.

Targets are class indices N or, from mixup and cutmix, distributions N×K. The mean is over images in every
form, so that accumulated small batches give the gradient of the large one. Logits of any precision are taken
to float32 first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from convscope.core.config import TrainConfig
from convscope.core.errors import UserError, unknown_name
from convscope.tasks.classification.imbalance import class_weights, sampling_weights

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
IMBALANCE = ("none", "weights", "sampler", "focal")


class ClassificationLoss:
    """The loss of a training, as its configuration and its labels have it.

    `sampling`: the probability with which each of the N training images is drawn, None for all alike.

    >>> loss = ClassificationLoss(TrainConfig(), np.array([0, 1, 1]), 2)
    >>> round(loss(torch.zeros(2, 2), torch.tensor([0, 1])).item(), 4), loss.sampling
    (0.6931, None)
    """

    def __init__(self, config: TrainConfig, labels: NDArray[Any], classes: int) -> None:
        """`labels`: N class indices of all training images; `classes`: K, some of which may have none."""
        self.classes = classes
        self.sampling = sampling_weights(labels) if config.imbalance == "sampler" else None
        self._loss = make_loss(
            np.bincount(labels, minlength=classes),
            imbalance=config.imbalance,
            label_smoothing=config.label_smoothing,
            gamma=config.focal_gamma,
        )

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss, a float32 scalar, of logits N×K for targets N or N×K."""
        return self._loss(logits, targets)

    def score(self, logits: Tensor, targets: Tensor) -> Tensor:
        """How many of N images are right, a scalar; of mixed targets N×K the largest counts."""
        # Of mixed images the one that shows most is what a prediction can be right about.
        labels = targets if targets.ndim == 1 else targets.argmax(dim=1)
        return (logits.argmax(dim=1) == labels).sum()

    def mixable(self, targets: Tensor) -> Tensor:
        """Class indices N as distributions, float32 N×K, whose weighted mean is a distribution again."""
        return F.one_hot(targets, self.classes).float()


def make_loss(
    class_counts: Sequence[int] | NDArray[np.int64],
    *,
    imbalance: str = "none",
    label_smoothing: float = 0.0,
    gamma: float = 2.0,
) -> Loss:
    """The function (logits N×K, targets N or N×K) → mean loss, a float32 scalar.

    Args:
        class_counts: training images of each of the K classes.
        imbalance: "weights" multiplies each class by `class_weights`; "focal" is `focal_loss`; "sampler"
            leaves the loss alone, since images are then drawn by `sampling_weights`; "none" is cross-entropy.
        label_smoothing: ε in [0, 1); targets become (1 − ε)·q + ε/K (Szegedy and others 2015, arXiv
            1512.00567).
        gamma: the exponent of the focal loss, at least 0.

    Raises:
        UserError: an unknown `imbalance`, or a number out of range.

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
    # By hand: torch divides by the sum of weights, and small batches would not add up to the large one.
    if imbalance == "weights":
        return _weighted(torch.from_numpy(class_weights(class_counts)).float(), label_smoothing)
    return lambda logits, targets: F.cross_entropy(
        logits.float(), targets.float() if targets.ndim == 2 else targets, label_smoothing=label_smoothing
    )


def focal_loss(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, label_smoothing: float = 0.0
) -> Tensor:
    """−Σ_k q_k (1 − p_k)^γ log p_k, the mean over images, with p = softmax(logits) and q the targets.

    For a class index this is equation 4 of Lin and others 2017, arXiv 1708.02002; a mixture of targets gives
    the mixture of their losses.

    Args:
        logits: N×K.
        targets: class indices N, or distributions N×K.
        gamma: γ ≥ 0; 0 is cross-entropy.
        label_smoothing: ε in [0, 1).

    >>> round(focal_loss(torch.zeros(1, 2), torch.tensor([0])).item(), 4)  # 0.5² · 0.6931
    0.1733
    """
    log_p = F.log_softmax(logits.float(), dim=1)
    # −expm1(log p) keeps the digits of 1 − p where p is near 1; above zero, because for γ < 1 the gradient of
    # x^γ is infinite at 0.
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


def _weighted(weights: Tensor, label_smoothing: float) -> Loss:
    def loss(logits: Tensor, targets: Tensor) -> Tensor:
        nonlocal weights
        # Copied in the first step only: the device is not known before.
        weights = weights.to(logits.device)  # copied in the first step only
        q = target_distribution(targets, logits.shape[1], label_smoothing)
        return -(weights * q * F.log_softmax(logits.float(), dim=1)).sum(dim=1).mean()

    return loss
