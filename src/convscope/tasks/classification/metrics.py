"""How good a classifier's answers are: one value with every figure, from logits and labels."""

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
    """The figures of one class, in [0, 1]; all None for a class without images, of which nothing can be said.

    `support`: its images. A class that was never answered has precision 0, as scikit-learn has it.
    """

    name: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class ClassificationMetrics:
    """The figures of one split.

    `top1`, `top5`: share of images whose label is the first, or among the first five, of the answers; `top5`
    is None where there are no more than five classes. `loss`: mean cross-entropy, natural logarithm.
    `macro_f1`: mean F1 of the classes that have images. `confusion`: counts K×K, a row for each label and a
    column for each answer.
    """

    images: int
    top1: float
    top5: float | None
    loss: float
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
        return (
            f"{len(empty)} of {len(self.per_class)} classes have no images here and do not count: {names}",
        )

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
    """All figures of logits N×K against labels N, indices into the K `classes`.

    Among equal logits the class that comes first is answered, so an undecided network gains nothing.

    Raises UserError for shapes or labels that do not fit, and Failure where a logit is NaN or infinite.

    >>> m = classification_metrics(np.eye(3)[[0, 1, 1]], [0, 1, 2], ["a", "b", "c"])
    >>> round(m.top1, 3), m.confusion.tolist()
    (0.667, [[1, 0, 0], [0, 1, 0], [0, 1, 0]])
    """
    z, y = checked(logits, labels, len(classes))
    k = len(classes)
    confusion = np.bincount(y * k + z.argmax(axis=1), minlength=k * k).reshape(k, k)
    scores = class_scores(confusion, classes)
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
    """Whether each of N labels is among the k largest of its K logits; of equal ones the first count.

    >>> in_top(np.array([[3.0, 2.0, 1.0]]), np.array([1]), 2).tolist()
    [True]
    """
    own = logits[np.arange(len(labels)), labels][:, None]
    earlier = np.arange(logits.shape[1]) < labels[:, None]
    ahead: NDArray[np.int64] = ((logits > own) | ((logits == own) & earlier)).sum(axis=1)
    return ahead < k


def top_k_accuracy(logits: NDArray[np.float64], labels: NDArray[np.int64], k: int) -> float:
    """The share of N images whose label is `in_top` of its K logits.

    >>> top_k_accuracy(np.array([[3.0, 2.0, 1.0]]), np.array([1]), 2)
    1.0
    """
    return float(in_top(logits, labels, k).mean())


def image_losses(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """−log softmax(logits N×K)[label] of each of the N images.

    >>> image_losses(np.zeros((1, 2)), np.array([0])).round(4).tolist()
    [0.6931]
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses: NDArray[np.float64] = (
        np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    )
    return losses


def cross_entropy(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Mean of `image_losses` over the N images.

    >>> round(cross_entropy(np.zeros((1, 2)), np.array([0])), 4)
    0.6931
    """
    return float(image_losses(logits, labels).mean())


def class_scores(confusion: NDArray[np.int64], classes: Sequence[str]) -> tuple[ClassScore, ...]:
    """Precision tp/(tp + fp), recall tp/(tp + fn) and F1 2·tp/(2·tp + fp + fn) of each class, from the counts
    K×K.

    >>> class_scores(np.array([[2, 1], [1, 0]]), ["a", "b"])[0].f1
    0.6666666666666666
    """
    right, answered, there = (
        confusion.diagonal().tolist(),
        confusion.sum(axis=0).tolist(),
        confusion.sum(axis=1).tolist(),
    )
    return tuple(
        ClassScore(name, n, tp / max(said, 1), tp / n, 2 * tp / (said + n))
        if n
        else ClassScore(name, 0, None, None, None)
        for name, tp, said, n in zip(classes, right, answered, there, strict=True)
    )


def checked(
    logits: NDArray[Any], labels: NDArray[Any] | Sequence[int], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Logits N×K as float64 and labels N as int64, if figures can be made from them.

    Raises UserError for no images, and for shapes or labels that do not fit, and Failure for a logit that is
    NaN or infinite.
    """
    z, y = np.asarray(logits, dtype=np.float64), np.asarray(labels)
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
