"""Labels that are probably wrong: networks that never saw an image give another class its usual confidence.

Confident learning (Northcutt, Jiang and Chuang 2021, arXiv 1911.00068, section 3). With p(j | x) from
networks that were not trained on x, N images, and n_i of them labelled i:

    t_j     = mean of p(j | x) over the images labelled j              the usual confidence in class j
    C[i, j] = images labelled i that are counted at j                  the confident joint
    Q[i, j] = (C[i, j] / Σ_j C[i, j]) · n_i / N                        its calibrated fraction of all images

An image is counted at the j of largest p(j | x) among those with p(j | x) ≥ t_j, and nowhere where no class
reaches its threshold. C says how many labels are wrong; which ones is the paper's rule "C+NR", an image that
two rules agree on:

    by class        the n_i · (1 − Q[i, i] N / n_i) images labelled i with the lowest p(i | x)
    by noise rate   for each j ≠ i the N · Q[i, j] images labelled i with the largest p(j | x) − p(i | x)

The first is also the order in which they are listed. With 5 % of all labels changed, the rule listed 91 % of
them in Fashion-MNIST (69 % of its list) and 90 % in TrashNet (33 %); the images off the diagonal of C itself,
another rule of the paper, were 80 % (69 %) and 74 % (31 %).

Three things are added. A threshold is never below 1/K: a class that gets less than chance even in its own
images was not learnt, and must not be suggested by accident. A tie keeps the label. And an image is an issue
only where the suggested class is likelier than its label.

N images, K classes; `labels` N are the labels of the data, `own` N the probability of each image's own label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError

# A probability this far below a threshold still reaches it: the mean of equal numbers may round upwards.
ROUNDING = 1e-9


@dataclass(frozen=True)
class LabelIssue:
    """The image at `position`, whose `label` is probably wrong, and the class that is `suggested` instead.

    `p_label` and `p_suggested`: the probabilities of both.
    """

    position: int
    label: int
    suggested: int
    p_label: float
    p_suggested: float


@dataclass(frozen=True)
class ClassIssues:
    """One label: its images, the issues among them, and the fraction that is estimated to be wrong.

    `likeliest`: the class that most of the wrong ones are estimated to belong to, None where none is wrong.
    """

    label: int
    images: int
    issues: int
    wrong_fraction: float
    likeliest: int | None


@dataclass(frozen=True, eq=False)
class LabelIssues:
    """`issues`, most suspicious first, and the figures behind them.

    `thresholds` K: infinite for a class without images. `confident_joint` K×K: counts, a row for each label
    of the data. `joint` K×K: the estimated fraction of all images with this label and this true class; sums
    to 1.
    """

    issues: tuple[LabelIssue, ...]
    thresholds: NDArray[np.float64]
    confident_joint: NDArray[np.int64]
    joint: NDArray[np.float64]
    per_class: tuple[ClassIssues, ...]

    @property
    def wrong_fraction(self) -> float:
        """The estimated fraction of wrong labels among all images: what of the joint is off its diagonal."""
        return float(self.joint.sum() - np.trace(self.joint))


def confident_learning(probabilities: NDArray[np.floating[Any]], labels: NDArray[Any]) -> LabelIssues:
    """Find the wrong labels among N images.

    Args:
        probabilities: N×K, each row from a network that was not trained on its image; one that was agrees
            with whatever label it saw.
        labels: N, 0 … K−1. A label all of whose images are undecided counts as right.

    Raises:
        UserError: for arrays that are not that.

    >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    >>> found = confident_learning(p, np.array([0, 0, 1, 1, 0]))
    >>> [(issue.position, issue.label, issue.suggested, issue.p_label) for issue in found.issues]
    [(4, 0, 1, 0.1)]
    >>> round(found.wrong_fraction, 2)  # a third of the three images that are labelled 0
    0.2
    """
    p, y = _check(probabilities, labels)
    images, classes = p.shape
    own = p[np.arange(images), y]
    counts = np.bincount(y, minlength=classes)
    thresholds = _thresholds(own, y, counts)
    confident = _confident_joint(p, y, thresholds)
    calibrated = _calibrate(confident, counts)
    suggested = _by_noise_rate(p, y, own, calibrated)
    # The rules PBC (prune by class) and PBNR (by noise rate) of the paper; C+NR is their intersection.
    both = np.flatnonzero(_by_class(y, own, calibrated) & (suggested >= 0))
    issues = tuple(
        LabelIssue(i, int(y[i]), int(suggested[i]), float(own[i]), float(p[i, suggested[i]]))
        # Stable, so that equal probabilities are listed in the order of the data on every machine.
        for i in both[np.argsort(own[both], kind="stable")].tolist()
    )
    listed = np.bincount(y[both], minlength=classes)
    per_class = tuple(_class_issues(k, int(listed[k]), calibrated[k]) for k in range(classes))
    return LabelIssues(issues, thresholds, confident, calibrated / max(1, images), per_class)


def _thresholds(
    own: NDArray[np.float64], labels: NDArray[np.int64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    sums = np.bincount(labels, weights=own, minlength=len(counts))
    # An infinite threshold: a class without images has no usual confidence, and is never suggested.
    means = np.divide(sums, counts, out=np.full(len(counts), np.inf), where=counts > 0)
    result: NDArray[np.float64] = np.maximum(means, 1 / len(counts))
    return result


def _confident_joint(
    p: NDArray[np.float64], labels: NDArray[np.int64], thresholds: NDArray[np.float64]
) -> NDArray[np.int64]:
    """K×K counts of the images with each label that are counted at each class."""
    confident = np.where(p >= thresholds - ROUNDING, p, -np.inf)
    best = confident.max(axis=1, initial=-np.inf)
    # argmax alone would give ties to the class of lowest number, which would then collect false issues.
    label_is_best = confident[np.arange(len(p)), labels] >= best
    counted_at, decided = np.where(label_is_best, labels, confident.argmax(axis=1)), np.isfinite(best)
    joint = np.zeros((len(thresholds), len(thresholds)), np.int64)
    # joint[…] += 1 would count a pair of indices that repeats only once.
    np.add.at(joint, (labels[decided], counted_at[decided]), 1)
    return joint


def _calibrate(confident: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """N · Q: the estimated number of images with each label and true class."""
    rows = confident.sum(axis=1)
    # A row of zeros, where no image is decided, would be divided by its sum of 0.
    known = confident + np.diag(np.where(rows == 0, 1, 0))
    # One division at the end: halves are then exact, and round alike everywhere.
    result: NDArray[np.float64] = known * counts[:, None] / known.sum(axis=1, keepdims=True)
    return result


def _by_class(
    labels: NDArray[np.int64], own: NDArray[np.float64], calibrated: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether an image is among the least likely of its label, as many as are estimated to be wrong."""
    listed = np.zeros(len(labels), np.bool_)
    for k, images in enumerate(_images_of(labels, len(calibrated))):
        # Never below 0: the whole row of calibrated counts sums to this number of images.
        wrong = int(np.rint(len(images) - calibrated[k, k]))
        listed[images[np.argsort(own[images], kind="stable")[:wrong]]] = True
    return listed


def _by_noise_rate(
    p: NDArray[np.float64],
    labels: NDArray[np.int64],
    own: NDArray[np.float64],
    calibrated: NDArray[np.float64],
) -> NDArray[np.int64]:
    """The class that is suggested for each image, the likeliest of several, or −1."""
    suggested = np.full(len(labels), -1)
    # The bar starts at the label's own probability: no less likely class is suggested.
    best = own.copy()
    images_of = _images_of(labels, len(calibrated))
    # Only pairs that round to an image: of 1,000 × 1,000 nearly all are empty.
    for label, other in np.argwhere(calibrated >= 0.5).tolist():
        if label != other:
            images = images_of[label]
            # The margin of the paper with its sign turned: ascending order lists the largest margin first.
            order = np.argsort(own[images] - p[images, other], kind="stable")
            first = images[order[: int(np.rint(calibrated[label, other]))]]
            likelier = first[p[first, other] > best[first]]
            suggested[likelier], best[likelier] = other, p[likelier, other]
    return suggested


def _images_of(labels: NDArray[np.int64], classes: int) -> list[NDArray[np.int64]]:
    """The positions of the images with each label, in their order."""
    # One sort is O(N log N); K comparisons with all labels would be O(N · K).
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.searchsorted(labels[order], np.arange(1, classes)))


def _class_issues(label: int, issues: int, calibrated: NDArray[np.float64]) -> ClassIssues:
    images = float(calibrated.sum())
    wrong = calibrated.copy()
    wrong[label] = 0.0
    return ClassIssues(
        label=label,
        images=round(images),
        issues=issues,
        wrong_fraction=float(wrong.sum()) / images if images else 0.0,
        likeliest=int(wrong.argmax()) if wrong.any() else None,
    )


def _check(
    probabilities: NDArray[np.floating[Any]], labels: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels)
    if p.ndim != 2 or p.shape[1] < 2 or y.shape != (len(p),):
        raise UserError(
            f"probabilities {p.shape} and labels {y.shape} do not fit; needed: N×K with K ≥ 2, and N labels"
        )
    # A softmax in float16 sums to 1 within 1e-3.
    if not (np.isfinite(p) & (p >= -1e-6)).all() or (np.abs(p.sum(axis=1) - 1) > 1e-3).any():
        raise UserError(
            "each row of the probabilities must be 0 or more and sum to 1; apply softmax to logits"
        )
    # A boolean array would select rows instead of naming classes.
    if y.size and (y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= p.shape[1]):
        raise UserError(f"labels must be whole numbers from 0 to {p.shape[1] - 1}; got {y.dtype} values")
    return p, y.astype(np.int64)
