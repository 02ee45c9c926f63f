"""Attacks: changes of a few pixel levels, too small to see, that are made to change the answer.

They are measured in levels of 0..255, since an image that somebody hands in has whole levels: |Δ| ≤ ε for
each number of the image. The accuracy under attack says how near to a wrong answer the right ones are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.core.contracts import Progress
from convscope.core.errors import UserError
from convscope.core.seeds import generator
from convscope.explanation.attribute import checked_targets
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.pytorch.gradients import batches, input_gradient

Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class AttackRow:
    """The share 0..1 of `images` that are answered right, whatever an attack of `epsilon` pixel levels does
    to them.
    """

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
    explained_model: ExplainedModel,
    images: Images,
    labels: Labels,
    *,
    epsilons: Sequence[int] = (1, 2, 4, 8),
    tell: Progress | None = None,
) -> UnderAttack:
    """The accuracy for prepared images, uint8 N×H×W×C, and labels N under FGSM and PGD of each strength.

    What an attack may do at a small ε it may do at a larger one, so an image that is lost once stays lost,
    and wrong answers are wrong at every ε. Only images that still stand are attacked. `tell(done, total)`
    after each attack.

    >>> from convscope.data.preparing.preprocess import Preprocess
    >>> from convscope.models.pytorch.predictor import TorchPredictor
    >>> from convscope.models.pytorch.zoo import create
    >>> net = create("small_cnn", input_shape=(1, 8, 8), classes=2)
    >>> explained_model = ExplainedModel.of(TorchPredictor(net, Preprocess(1, 8, 8), ("cat", "dog")))
    >>> found = accuracy_under_attack(explained_model, np.zeros((3, 8, 8, 1), np.uint8), np.array([0, 1, 1]), epsilons=[2])
    >>> [(row.attack, row.epsilon, row.images) for row in found.rows]
    [('none', 0, 3), ('FGSM', 2, 3), ('PGD', 2, 3)]
    """
    labels = checked_targets(labels, len(images), len(explained_model.classes))
    right = _right(explained_model, images, labels)
    rows = [AttackRow("none", 0, _share(right), len(images))]
    for name, attack in (("FGSM", fgsm), ("PGD", pgd)):
        standing = right.copy()
        for epsilon in sorted(epsilons):
            left = np.flatnonzero(standing)
            changed = attack(explained_model, images[left], labels[left], epsilon=epsilon)
            standing[left] = _right(explained_model, changed, labels[left])
            rows.append(AttackRow(name, epsilon, _share(standing), len(images)))
            if tell:
                tell(len(rows) - 1, 2 * len(epsilons))
    return UnderAttack(tuple(rows))


def fgsm(explained_model: ExplainedModel, images: Images, labels: Labels, *, epsilon: int) -> Images:
    """One step uphill, x + ε · sign(∂loss/∂x), of the cross-entropy with the labels N; uint8 N×H×W×C in and
    out.

    `epsilon`: in pixel levels, 0..255, anything else is a UserError. The fast gradient sign method of
    Goodfellow and others 2014, arXiv 1412.6572.
    """

    def attack(ball: _Ball) -> Tensor:
        return epsilon * ball.uphill(torch.zeros_like(ball.x))

    return _attacked(explained_model, images, labels, epsilon=epsilon, attack=attack)


def pgd(
    explained_model: ExplainedModel,
    images: Images,
    labels: Labels,
    *,
    epsilon: int,
    step: float | None = None,
    steps: int = 10,
    seed: int = 0,
) -> Images:
    """Many small steps uphill, each put back to |Δ| ≤ ε, from a random start; uint8 N×H×W×C in and out.

    `epsilon`: in pixel levels, 0..255. `step`: of each of the `steps`, in levels; 2.5 ε / steps by default,
    so that every corner can be reached from every start. Projected gradient descent, Madry and others 2017,
    arXiv 1706.06083.
    """
    length = 2.5 * epsilon / max(1, steps) if step is None else step

    def attack(ball: _Ball) -> Tensor:
        start = generator(seed, "pgd", ball.first).uniform(-epsilon, epsilon, tuple(ball.x.shape))
        delta = ball.projected(torch.from_numpy(start).to(ball.x))
        for _ in range(steps):
            delta = ball.projected(delta + length * ball.uphill(delta))
        return delta

    return _attacked(explained_model, images, labels, epsilon=epsilon, attack=attack)


def log_odds_against(logits: Tensor, labels: Tensor) -> Tensor:
    """Σ_n log((1 − p_n) / p_n), with p the probability of the label, from logits N×K.

    Its gradient is that of the cross-entropy divided by 1 − p: it points the same way, and it is still there
    where the network is so sure that 1 − p rounds to 0. An attack would find no way otherwise, and the
    network would look robust.

    >>> round(float(log_odds_against(torch.tensor([[0.0, 3.0]]), torch.tensor([1]))), 3)
    -3.0
    """
    own = torch.nn.functional.one_hot(labels, logits.shape[1]).bool()
    return (logits.masked_fill(own, -torch.inf).logsumexp(dim=1) - logits[own]).sum()


class _Ball:
    """What may be done to some images, from number `first` of the batch on: normalised x N×C×H×W, Δ in pixel
    levels.
    """

    def __init__(
        self, explained_model: ExplainedModel, images: Images, labels: Labels, *, first: int, epsilon: int
    ) -> None:
        self.network: nn.Module = explained_model.torch_network()
        self.x, self.first = explained_model.inputs(images), first
        self.labels = torch.from_numpy(labels).to(self.x.device)
        self.level = 1 / (255 * self.x.new_tensor(explained_model.preprocess.std).view(1, -1, 1, 1))
        pixels = torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2).to(self.x)
        self.lowest, self.highest = (-pixels).clamp(min=-epsilon), (255 - pixels).clamp(max=epsilon)

    def projected(self, delta: Tensor) -> Tensor:
        """The nearest Δ that is at most ε and leaves the image within 0..255."""
        return torch.maximum(torch.minimum(delta, self.highest), self.lowest)

    def uphill(self, delta: Tensor) -> Tensor:
        """For each number of x + Δ, whether the loss grows with it (1), falls (−1) or neither."""
        gradients = input_gradient(
            self.network, self.x + delta * self.level, self.labels, score=log_odds_against
        )
        return gradients.sign()


def _attacked(
    explained_model: ExplainedModel,
    images: Images,
    labels: Labels,
    *,
    epsilon: int,
    attack: Callable[[_Ball], Tensor],
) -> Images:
    if not 0 <= epsilon <= 255 or int(epsilon) != epsilon:
        raise UserError(f"an attack with epsilon {epsilon}; allowed: whole pixel levels from 0 to 255")
    found, labels = images.copy(), checked_targets(labels, len(images), len(explained_model.classes))
    for lot in batches(len(images), images.shape[1:3]):
        ball = _Ball(explained_model, images[lot], labels[lot], first=lot.start, epsilon=epsilon)
        delta = ball.projected(attack(ball)).round().permute(0, 2, 3, 1).cpu().numpy()
        found[lot] = (images[lot] + delta).astype(np.uint8)
    return found


def _right(explained_model: ExplainedModel, images: Images, labels: Labels) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = explained_model.predictor.predict(images).argmax(axis=1) == labels
    return right


def _share(right: NDArray[np.bool_]) -> float:
    return float(right.mean()) if len(right) else 0.0
