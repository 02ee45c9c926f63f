"""Attacks: changes of a few pixel levels, too small to see, that are made to change the prediction.

They are measured in levels of 0..255, since an image that somebody hands in has whole levels: |Δ| ≤ ε for
each number of the image. The accuracy under attack says how near to a wrong prediction the right ones are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.errors import UserError
from convscope.core.run.progress import Progress
from convscope.core.seeds import generator
from convscope.explanation.attribute import checked_targets
from convscope.explanation.attribution.gradients import batches, input_gradient
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.probe import Classes, Floats

Images: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True)
class AttackRow:
    """The fraction 0..1 of `images` that are classified right under an attack of `epsilon` levels."""

    attack: str
    epsilon: int
    accuracy: float
    images: int


@dataclass(frozen=True)
class UnderAttack:
    """A row for no attack at all (epsilon 0), then one for each attack and strength."""

    rows: tuple[AttackRow, ...]

    def to_dict(self) -> dict[str, Any]:
        """The rows as plain JSON types."""
        return asdict(self)


def accuracy_under_attack(
    model: ExplainedModel,
    images: Images,
    labels: Classes,
    *,
    # 8 / 255 is the usual bound for colour images since Madry and others 2017.
    epsilons: Sequence[int] = (1, 2, 4, 8),
    progress: Progress | None = None,
) -> UnderAttack:
    """The accuracy under FGSM and PGD of each strength.

    What an attack may do at a small ε it may do at a larger one, so an image that is lost once stays lost,
    and wrong predictions are wrong at every ε. Only images that still stand are attacked.

    Args:
        model: with the inside of its network.
        images: prepared, uint8 N×H×W×C.
        labels: the right classes, N.
        epsilons: pixel levels, 0 to 255.
        progress: called with "attack", the attacks done, and all.

    Returns:
        A row without an attack, then one for each attack and strength.

    Raises:
        UserError: a label or an epsilon is out of range, or only predictions are at hand.

    >>> from convscope.data.preparing.preprocess import Preprocess
    >>> from convscope.models.pytorch.predictor import TorchPredictor
    >>> from convscope.models.pytorch.zoo import create
    >>> net = create("small_cnn", input_shape=(1, 8, 8), classes=2)
    >>> model = ExplainedModel.of(TorchPredictor(net, Preprocess(1, 8, 8), ("cat", "dog")))
    >>> dark = np.zeros((3, 8, 8, 1), np.uint8)
    >>> found = accuracy_under_attack(model, dark, np.array([0, 1, 1]), epsilons=[2])
    >>> [(row.attack, row.epsilon, row.images) for row in found.rows]
    [('none', 0, 3), ('FGSM', 2, 3), ('PGD', 2, 3)]
    """
    labels = checked_targets(labels, len(images), len(model.classes))
    # Images that are classified wrong need no attack, and stay wrong in every row.
    right = _right(model, images, labels)
    rows = [AttackRow("none", 0, _fraction(right), len(images))]
    for name, attack in (("FGSM", fgsm), ("PGD", pgd)):
        # Each attack starts from all images that are classified right without one.
        standing = right.copy()
        for epsilon in sorted(epsilons):
            left = np.flatnonzero(standing)
            changed = attack(model, images[left], labels[left], epsilon=epsilon)
            # An image that is lost at a small ε is not attacked again: more is allowed at a larger one.
            standing[left] = _right(model, changed, labels[left])
            rows.append(AttackRow(name, epsilon, _fraction(standing), len(images)))
            if progress:
                progress("attack", len(rows) - 1, 2 * len(epsilons))
    return UnderAttack(tuple(rows))


def fgsm(model: ExplainedModel, images: Images, labels: Classes, *, epsilon: int) -> Images:
    """One step uphill, x + ε · sign(∂loss/∂x), of the cross-entropy with the labels.

    The fast gradient sign method of Goodfellow and others 2014, arXiv 1412.6572.

    Args:
        model: with the inside of its network.
        images: prepared, uint8 N×H×W×C.
        labels: the right classes, N.
        epsilon: whole pixel levels, 0 to 255.

    Returns:
        Changed images, uint8 N×H×W×C.

    Raises:
        UserError: a label or `epsilon` is out of range, or only predictions are at hand.
    """

    def attack(ball: _Ball) -> Floats:
        return epsilon * ball.uphill(np.zeros_like(ball.x))

    return _attacked(model, images, labels, epsilon=epsilon, attack=attack)


def pgd(
    model: ExplainedModel,
    images: Images,
    labels: Classes,
    *,
    epsilon: int,
    step: float | None = None,
    steps: int = 10,
    seed: int = 0,
) -> Images:
    """Many small steps uphill from a random start, each put back to |Δ| ≤ ε.

    Projected gradient descent, Madry and others 2017, arXiv 1706.06083.

    Args:
        model: with the inside of its network.
        images: prepared, uint8 N×H×W×C.
        labels: the right classes, N.
        epsilon: whole pixel levels, 0 to 255.
        step: the length of a step in levels; 2.5 ε / steps by default, so that every corner can be reached
            from every start.
        steps: how many, 0 and more.
        seed: of the start.

    Returns:
        Changed images, uint8 N×H×W×C.

    Raises:
        UserError: a label or `epsilon` is out of range, or only predictions are at hand.
    """
    # 2.5 steps of ε / steps reach 2.5 ε: from one corner of the ball past the other, which are 2 ε apart.
    length = 2.5 * epsilon / max(1, steps) if step is None else step

    def attack(ball: _Ball) -> Floats:
        # The number of the first image is part of the seed, so each batch has another start.
        start = generator(seed, "pgd", ball.first).uniform(-epsilon, epsilon, ball.x.shape)
        delta = ball.projected(start.astype(ball.x.dtype))
        for _ in range(steps):
            # Projected after each step and not at the end, or the steps would add up outside of the ball.
            delta = ball.projected(delta + length * ball.uphill(delta))
        return delta

    return _attacked(model, images, labels, epsilon=epsilon, attack=attack)


class _Ball:
    """What may be done to images from number `first` on: inputs x N×C×H×W, and bounds of Δ in levels."""

    def __init__(
        self, model: ExplainedModel, images: Images, labels: Classes, *, first: int, epsilon: int
    ) -> None:
        self.probe, self.x = model.inside(), model.inputs(images)
        self.labels, self.first = labels, first
        # A level of a pixel is 1/255, which normalisation divides by the deviation of its channel.
        self.level = (1 / (255 * np.array(model.preprocess.std)))[:, None, None].astype(self.x.dtype)
        pixels = images.transpose(0, 3, 1, 2).astype(self.x.dtype)
        # A pixel of level 3 cannot get darker by 8, so each pixel has bounds of its own.
        self.lowest, self.highest = np.maximum(-pixels, -epsilon), np.minimum(255 - pixels, epsilon)

    def projected(self, delta: Floats) -> Floats:
        """The nearest Δ that is at most ε and leaves the image within 0..255."""
        return np.maximum(np.minimum(delta, self.highest), self.lowest)

    def uphill(self, delta: Floats) -> Floats:
        """For each number of x + Δ, whether the loss grows with it (1), falls (−1) or neither, as for NaN."""
        # The gradient of the log odds has the sign of the cross-entropy's, which rounds to 0 near p = 1.
        gradients = input_gradient(
            self.probe, self.x + delta * self.level, self.labels, of="log odds against"
        )
        return np.sign(np.nan_to_num(gradients))


def _attacked(
    model: ExplainedModel,
    images: Images,
    labels: Classes,
    *,
    epsilon: int,
    attack: Callable[[_Ball], Floats],
) -> Images:
    if not 0 <= epsilon <= 255 or int(epsilon) != epsilon:
        raise UserError(f"an attack with epsilon {epsilon}; allowed: whole pixel levels from 0 to 255")
    found, labels = images.copy(), checked_targets(labels, len(images), len(model.classes))
    for batch in batches(len(images), images.shape[1:3]):
        ball = _Ball(model, images[batch], labels[batch], first=batch.start, epsilon=epsilon)
        # Rounded at the end: images have whole levels, and an attack that needs fractions is none.
        delta = ball.projected(attack(ball)).round().transpose(0, 2, 3, 1)
        found[batch] = (images[batch] + delta).astype(np.uint8)
    return found


def _right(model: ExplainedModel, images: Images, labels: Classes) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = model.predictor.predict(images).argmax(axis=1) == labels
    return right


def _fraction(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else 0.0
