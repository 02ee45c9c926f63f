"""How good predictions of classes are: one value with every figure, from logits and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError
from convscope.inference.classifier import check_finite

TOP = 5


@dataclass(frozen=True)
class ClassScore:
    """The figures of one class, in [0, 1]; all None for a class without images.

    `support`: its images. A class that was never predicted has precision 0, as scikit-learn has it.
    """

    name: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class ClassificationMetrics:
    """The figures of one split.

    `top1`, `top5`: fraction of images whose label is the most probable class, or among the first five; `top5`
    is None where there are no more than five classes. `loss`: mean cross-entropy, natural logarithm.
    `macro_f1`: mean F1 of the classes that have images. `confusion`: counts K×K, a row for each label and a
    column for each predicted class.
    """

    images: int
    top1: float
    top5: float | None
    loss: float
    # The F1 of every class counts alike, so that a rare class is not lost in the accuracy.
    macro_f1: float
    per_class: tuple[ClassScore, ...]
    confusion: NDArray[np.int64]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know about the figures."""
        empty = [score.name for score in self.per_class if not score.support]
        if not empty:
            return ()
        names = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        number = f"{len(empty)} of {len(self.per_class)} classes"
        return (f"{number} have no images here and do not count: {names}",)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, without NaN."""
        return {
            "task": "classification",
            "images": self.images,
            "top1": self.top1,
            "top5": self.top5,
            "loss": self.loss,
            "macro_f1": self.macro_f1,
            "per_class": [vars(score) for score in self.per_class],
            "confusion": self.confusion.tolist(),
            "notes": list(self.notes),
        }


def classification_metrics(
    logits: NDArray[Any], labels: NDArray[Any] | Sequence[int], classes: Sequence[str]
) -> ClassificationMetrics:
    """All figures of logits against labels.

    Among equal logits the class that comes first is predicted, so an undecided network gains nothing.

    Args:
        logits: N×K.
        labels: N indices into the classes.
        classes: the K names.

    Raises:
        UserError: there are no images, or shapes or labels do not fit.
        Failure: a logit is NaN or infinite.

    >>> m = classification_metrics(np.eye(3)[[0, 1, 1]], [0, 1, 2], ["a", "b", "c"])
    >>> round(m.top1, 3), m.confusion.tolist()
    (0.667, [[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    """
    z, y = checked(logits, labels, len(classes))
    k = len(classes)
    # One count of cell numbers, in place of a loop over images.
    confusion = np.bincount(y * k + z.argmax(axis=1), minlength=k * k).reshape(k, k)
    scores = class_scores(confusion, classes)
    # Classes without images do not count: an F1 of 0 for them would blame the network for the data.
    f1 = [score.f1 for score in scores if score.f1 is not None]
    return ClassificationMetrics(
        images=len(y),
        top1=float(np.trace(confusion) / len(y)),
        top5=top_k_accuracy(z, y, TOP) if len(classes) > TOP else None,
        loss=cross_entropy(z, y),
        macro_f1=float(np.mean(f1)),
        per_class=scores,
        confusion=confusion,
    )


def in_top(logits: NDArray[np.float64], labels: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Whether each label is among the k largest logits of its image; of equal ones the first count.

    Args:
        logits: N×K.
        labels: N class indices.
        k: from 1 to K.

    >>> in_top(np.array([[3.0, 2.0, 1.0]]), np.array([1]), 2).tolist()
    [True]
    """
    # Counting what lies ahead takes N·K steps and no sort.
    own = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    ahead: NDArray[np.int64] = ((logits > own) | ((logits == own) & earlier)).sum(axis=1)
    return ahead < k


def top_k_accuracy(logits: NDArray[np.float64], labels: NDArray[np.int64], k: int) -> float:
    """The fraction of N images whose label is `in_top` of its K logits, in [0, 1].

    >>> top_k_accuracy(np.array([[3.0, 2.0, 1.0]]), np.array([1]), 2)
    1.0
    """
    return float(in_top(logits, labels, k).mean())


def image_losses(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """−log softmax(logits N×K)[label] of each of the N images.

    >>> image_losses(np.zeros((1, 2)), np.array([0])).round(4).tolist()
    [0.6931]
    """
    # The largest becomes 0: the exponential of a logit above 709 is infinite in float64.
    shifted = logits - logits.max(axis=1, keepdims=True)
    own = shifted[np.arange(len(labels)), labels]
    losses: NDArray[np.float64] = np.log(np.exp(shifted).sum(axis=1)) - own
    return losses


def cross_entropy(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean of `image_losses` over the N images.

    >>> round(cross_entropy(np.zeros((1, 2)), np.array([0])), 4)
    0.6931
    """
    return float(image_losses(logits, labels).mean())


def class_scores(confusion: NDArray[np.int64], classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Precision tp/(tp + fp), recall tp/(tp + fn) and F1 2·tp/(2·tp + fp + fn) of each class.

    Args:
        confusion: counts K×K, a row for each label.
        classes: the K names.

    >>> class_scores(np.array([[2, 1], [1, 0]]), ["a", "b"])[0].f1
    0.6666666666666666
    """
    right, predicted, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    counts = zip(classes, right.tolist(), predicted.tolist(), support.tolist(), strict=True)
    return tuple(
        ClassScore(name, n, tp / max(all_predicted, 1), tp / n, 2 * tp / (all_predicted + n))
        if n
        else ClassScore(name, 0, None, None, None)
        for name, tp, all_predicted, n in counts
    )


def checked(
    logits: NDArray[Any], labels: NDArray[Any] | Sequence[int], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits N×K as float64 and labels N as int64, if figures can be made from them.

    Args:
        logits: anything that NumPy takes for numbers.
        labels: class indices.
        classes: K.

    Raises:
        UserError: there are no images, or shapes or labels do not fit.
        Failure: a logit is NaN or infinite.
    """
    # float64: a float32 sum of many losses depends on their order.
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    # First: an empty array has no minimum, which the checks below ask for.
    if not len(y):
        raise UserError("there are no images to evaluate; choose another split or data set")
    if z.shape != (len(y), classes):
        raise UserError(
            f"logits have shape {z.shape}; {len(y)} labels and {classes} classes need {(len(y), classes)}"
        )
    if y.min() < 0 or y.max() >= classes:
        raise UserError(
            f"labels run from {y.min()} to {y.max()}; with {classes} classes they must be 0 to {classes - 1}"
        )
    check_finite(z)
    return z, y.astype(np.int64)
