"""Labels that are probably wrong: networks that never saw the image are as sure of another class as is usual
for it.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068, section 3). With p(j | x) from
networks that were not trained on x, N images, and n_i of them labelled i:

    t_j     = mean of p(j | x) over the images labelled j              how sure is usual for class j
    C[i, j] = images labelled i that are counted at j                  the confident joint
    Q[i, j] = (C[i, j] / Σ_j C[i, j]) · n_i / N                        its calibrated share of all images

An image is counted at the j of largest p(j | x) among those with p(j | x) ≥ t_j, and nowhere where no class
reaches its threshold. C says how many labels are wrong; which ones is the paper's rule "C+NR", an image that
two rules agree on:

    by class        the n_i · (1 − Q[i, i] N / n_i) images labelled i with the lowest p(i | x)
    by noise rate   for each j ≠ i the N · Q[i, j] images labelled i with the largest p(j | x) − p(i | x)

The first is also the order in which they are listed. With 5 % of all labels changed, the rule listed 91 % of
them in Fashion-MNIST (69 % of its list) and 90 % in TrashNet (33 %); the images off the diagonal of C itself,
another rule of the paper, were 80 % (69 %) and 74 % (31 %).

Three things are added. A threshold is never below 1/K: a class that gets less than chance even in its own
images was not learnt, and is suggested to nobody by accident. A tie is decided for the label. And an image is
suspicious only where the suggested class is likelier than its label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError

ROUNDING = 1e-9
"""How far a probability may lie below a threshold and still reach it: the mean of equal numbers is not always
equal.
"""


@dataclass(frozen=True)
class LabelIssue:
    """One image, at `position` of N, whose `label` is probably wrong, and the class that is `suggested` for
    it.

    `p_label` and `p_suggested`: what the networks give to both.
    """

    position: int
    label: int
    suggested: int
    p_label: float
    p_suggested: float


@dataclass(frozen=True)
class ClassIssues:
    """One given label: its images, how many are suspicious, and the share that is estimated to be wrong.

    `likeliest`: the class that most of the wrong ones are estimated to belong to, None where none is wrong.
    """

    label: int
    images: int
    issues: int
    wrong_share: float
    likeliest: int | None


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """`issues`, most suspicious first, and what they were found by.

    `thresholds` K: infinite for a class without images. `confident_joint` K×K: counts, a row for each given
    label. `joint` K×K: the estimated share of all images with this given and this true label; sums to 1.
    """

    issues: tuple[LabelIssue, ...]
    thresholds: NDArray[np.float64]
    confident_joint: NDArray[np.int64]
    joint: NDArray[np.float64]
    per_class: tuple[ClassIssues, ...]

    @property
    def wrong_share(self) -> float:
        """The estimated share of wrong labels among all images: what of the joint is off its diagonal."""
        return float(self.joint.sum() - np.trace(self.joint))


def confident_learning(probabilities: NDArray[np.floating[Any]], labels: NDArray[Any]) -> LabelIssues:
    """Find the wrong labels among N images by their out-of-fold `probabilities` N×K and given `labels` N.

    Each row must come from a network that was not trained on its image; one that was agrees with whatever
    label it saw. A label all of whose images are undecided counts as right. Raises UserError for arrays that
    are not that.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    >>> trouble = confident_learning(p, np.array([0, 0, 1, 1, 0]))
    >>> [(s.position, s.label, s.suggested, s.p_label) for s in trouble.issues]
    [(4, 0, 1, 0.1)]
    >>> round(trouble.wrong_share, 2)  # a third of the three images that are labelled 0
    0.2
    """
    p, given = _checked(probabilities, labels)
    images, classes = p.shape
    own = p[np.arange(images), given]
    counts = np.bincount(given, minlength=classes)
    thresholds = _thresholds(own, given, counts)
    place, decided = _count_at(p, given, thresholds)
    confident = np.zeros((classes, classes), np.int64)
    np.add.at(confident, (given[decided], place[decided]), 1)
    calibrated = _calibrated(confident, counts)
    suggested = _by_noise_rate(p, given, own, calibrated)
    both = np.flatnonzero(_by_class(given, own, calibrated) & (suggested >= 0))
    issues = tuple(
        LabelIssue(i, int(given[i]), int(suggested[i]), float(own[i]), float(p[i, suggested[i]]))
        for i in both[np.argsort(own[both], kind="stable")].tolist()
    )
    listed = np.bincount(given[both], minlength=classes)
    per_class = tuple(_of_class(k, int(listed[k]), calibrated[k]) for k in range(classes))
    return LabelIssues(issues, thresholds, confident, calibrated / max(1, images), per_class)


def _thresholds(
    own: NDArray[np.float64], given: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
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
    """N · Q: the estimated number of images with each given and true label."""
    rows = confident.sum(axis=1)
    known = confident + np.diag(np.where(rows == 0, 1, 0))
    # One division at the end: halves are then exact, and round alike everywhere.
    result: NDArray[np.float64] = known * counts[:, None] / known.sum(axis=1, keepdims=True)
    return result


def _by_class(
    given: NDArray[np.int64], own: NDArray[np.float64], calibrated: NDArray[np.float64]
) -> NDArray[np.bool_]:
    chosen = np.zeros(len(given), np.bool_)
    for k, images in enumerate(_images_of(given, len(calibrated))):
        wrong = int(np.rint(len(images) - calibrated[k, k]))
        chosen[images[np.argsort(own[images], kind="stable")[:wrong]]] = True
    return chosen


def _by_noise_rate(
    p: NDArray[np.float64],
    given: NDArray[np.int64],
    own: NDArray[np.float64],
    calibrated: NDArray[np.float64],
) -> NDArray[np.int64]:
    """The class that each image is chosen for, the likeliest of several, or −1."""
    suggested = np.full(len(given), -1)
    best = own.copy()
    images_of = _images_of(given, len(calibrated))
    for label, other in np.argwhere(calibrated >= 0.5).tolist():
        if label != other:
            images = images_of[label]
            order = np.argsort(own[images] - p[images, other], kind="stable")
            chosen = images[order[: int(np.rint(calibrated[label, other]))]]
            chosen = chosen[p[chosen, other] > best[chosen]]
            suggested[chosen], best[chosen] = other, p[chosen, other]
    return suggested


def _images_of(given: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """The positions of the images with each label, in their order."""
    order = np.argsort(given, kind="stable")
    return np.split(order, np.searchsorted(given[order], np.arange(1, classes)))


def _of_class(label: int, issues: int, calibrated: NDArray[np.float64]) -> ClassIssues:
    images = float(calibrated.sum())
    wrong = calibrated.copy()
    wrong[label] = 0.0
    return ClassIssues(
        label=label,
        images=round(images),
        issues=issues,
        wrong_share=float(wrong.sum()) / images if images else 0.0,
        likeliest=int(wrong.argmax()) if wrong.any() else None,
    )


def _checked(probabilities: Any, labels: Any) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p, given = np.asarray(probabilities, np.float64), np.asarray(labels)
    if p.ndim != 2 or p.shape[1] < 2 or given.shape != (len(p),):
        raise UserError(
            f"probabilities {p.shape} and labels {given.shape} were given; needed: N×K with K ≥ 2, and N "
            f"labels"
        )
    if not np.isfinite(p).all() or (p < -1e-6).any() or (np.abs(p.sum(axis=1) - 1) > 1e-3).any():
        raise UserError(
            "the probabilities are not: each row must be 0 or more and sum to 1; apply softmax to logits"
        )
    if given.size and (given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= p.shape[1]):
        raise UserError(f"labels must be whole numbers from 0 to {p.shape[1] - 1}; got {given.dtype} values")
    return p, given.astype(np.int64)
