"""How accuracy falls as pictures get worse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Predictor, Tell
from convscope.core.errors import UserError
from convscope.core.seeds import generator
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.evaluation.robustness.corruptions import corrupt, corruptions

if TYPE_CHECKING:
    from rich.table import Table

SAMPLE = 1_000
"""Images to measure on, up to 64×64 pixels; each is answered forty times."""
STRENGTHS = (1, 2, 3, 4, 5)
PIXELS = 4_000_000
"""Of images that are corrupted at once; as float32 of three channels they take 50 MB."""


@dataclass(frozen=True)
class CorruptionResult:
    """The share of `images` answered rightly under a corruption at a strength from 1 to 5, which is `amount`
    `unit`.
    """

    corruption: str
    strength: int
    amount: float
    unit: str
    accuracy: float
    images: int


@dataclass(frozen=True)
class Robustness:
    """`clean`: the accuracy of the same images unharmed; `mean`: that over all corruptions and strengths."""

    clean: float
    mean: float
    images: int
    rows: tuple[CorruptionResult, ...]

    def accuracies(self) -> dict[str, list[float]]:
        """Of each corruption the accuracies at strengths 0 to 5."""
        found: dict[str, list[float]] = {}
        for row in self.rows:
            found.setdefault(row.corruption, [self.clean]).append(row.accuracy)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**vars(self), "rows": [vars(row) for row in self.rows]}


def robustness(
    predictor: Predictor,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    seed: int = 0,
    tell: Tell | None = None,
) -> Robustness:
    """The accuracy of N ≥ 1 prepared images, uint8 N×H×W×C, under every corruption at every strength.

    `seed` decides noise, signs and directions. `tell(what, done, total)` is called after each of the 40
    measurements.

    >>> class Bright:
    ...     classes = ("dark", "light")
    ...     def predict(self, images):
    ...         light = images.mean(axis=(1, 2, 3)) / 255 - 0.5
    ...         return np.stack([-light, light], axis=1)
    >>> images = np.repeat(np.array([90, 160], np.uint8), 64).reshape(2, 8, 8, 1)
    >>> found = robustness(Bright(), images, np.array([0, 1]))
    >>> found.clean, found.accuracies()["rotation"]
    (1.0, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """
    if not len(images):
        raise UserError("there are no images to measure robustness on; choose another split or data set")
    clean = _accuracy(predictor, images, labels, corruption=None, strength=0, seed=seed)
    rows = []
    for name in corruptions:
        kind = corruptions[name]
        for strength, amount in zip(STRENGTHS, kind.amounts, strict=True):
            accuracy = _accuracy(predictor, images, labels, corruption=name, strength=strength, seed=seed)
            rows.append(CorruptionResult(name, strength, amount, kind.unit, accuracy, len(images)))
            if tell:
                tell("robustness", len(rows), len(corruptions) * len(STRENGTHS))
    mean = float(np.mean([row.accuracy for row in rows]))
    return Robustness(clean, mean, len(images), tuple(rows))


def affordable(most: int, height: int, width: int) -> int:
    """So many H×W images as have the pixels of `most` at 64×64; never more than `most`, nor less than a fifth
    of it.

    >>> affordable(1_000, 28, 28), affordable(1_000, 96, 96), affordable(1_000, 224, 224)
    (1000, 444, 200)
    """
    return int(np.clip(most * 64 * 64 // (height * width), most // 5, most))


def sample(
    part: PreparedSplit, count: int | None = None, *, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images uint8 N×H×W×C and labels N of at most `count` images, drawn by `seed`; all of a part that has no
    more.

    `count`: left out, 1,000 up to 64×64 pixels, and fewer of larger images, down to 200.
    """
    if count is None:
        count = affordable(SAMPLE, *part.whole.images.shape[1:3])
    chosen = np.sort(generator(seed, "robustness").permutation(len(part))[:count])
    return part.take(chosen), part.targets[chosen]


def robustness_table(found: Robustness, *, narrow: bool = False) -> Table:
    """A rich table: a row for each corruption, a column for each strength, in per cent. `narrow`: without
    more.
    """
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    table.add_column("accuracy, %", overflow="fold")
    for strength in ("clean", *map(str, STRENGTHS)):
        table.add_column(strength, justify="right", no_wrap=True)
    if not narrow:
        table.add_column("strength is in", style="dim")
    for name, accuracies in found.accuracies().items():
        kind = corruptions[name]
        amounts = "  ".join(f"{amount:g}" for amount in kind.amounts)
        said = [] if narrow else [f"{kind.unit}: {amounts}"]
        table.add_row(name, *(f"{100 * value:.{0 if narrow else 1}f}" for value in accuracies), *said)
    return table


def _accuracy(
    predictor: Predictor,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    corruption: str | None,
    strength: int,
    seed: int,
) -> float:
    """Lots draw their noise from seeds of their own, which the size of the images alone decides."""
    size = max(1, PIXELS // (images.shape[1] * images.shape[2]))
    hits = 0
    for start in range(0, len(images), size):
        lot = images[start : start + size]
        if corruption:
            lot = corrupt(lot, corruption, strength, seed=seed + start)
        hits += int((predictor.predict(lot).argmax(axis=1) == labels[start : start + size]).sum())
    return hits / len(images)
