"""How the score of a network changes as images get worse, as figures and as one picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Predictor
from convscope.core.errors import UserError
from convscope.core.plotting import COLOURS, GREY, label_axes, new_figure
from convscope.core.run.progress import Progress
from convscope.core.seeds import generator
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.evaluation.robustness.corruptions import corrupt, corruptions
from convscope.tasks.task import Task

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAMPLE = 1_000
"""Images to measure on, up to 64×64 pixels; each is predicted forty times."""
STRENGTHS = (1, 2, 3, 4, 5)
PIXELS = 4_000_000
"""Of images that are corrupted at once; as float32 of three channels they take 50 MB."""
EIGHT = (*COLOURS, GREY, "#8C6D00")
STYLES = ("-", "--")
LETTER = 0.042
"""Height of a name, as a fraction of the axis."""


@dataclass(frozen=True)
class CorruptionResult:
    """The `score` on `images` under a corruption at a strength from 1 to 5, which is `amount` `unit`."""

    corruption: str
    strength: int
    amount: float
    unit: str
    score: float
    images: int

    def to_dict(self, name: str) -> dict[str, Any]:
        """Plain JSON types, with the score under its `name`."""
        return {name if key == "score" else key: value for key, value in vars(self).items()}


@dataclass(frozen=True)
class Robustness:
    """The score of a task under every corruption at every strength.

    `clean`: of the same images as they are. `mean`: over all corruptions and strengths. `score`: its name.
    """

    clean: float
    mean: float
    images: int
    rows: tuple[CorruptionResult, ...]
    score: str = "accuracy"

    def by_strength(self) -> dict[str, list[float]]:
        """Of each corruption the scores at strengths 0 to 5."""
        lines: dict[str, list[float]] = {}
        for row in self.rows:
            lines.setdefault(row.corruption, [self.clean]).append(row.score)
        return lines

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        rows = [row.to_dict(self.score) for row in self.rows]
        return {"clean": self.clean, "mean": self.mean, "images": self.images, "rows": rows}


def measure_robustness(
    predictor: Predictor,
    images: NDArray[np.uint8],
    targets: NDArray[Any],
    *,
    task: Task,
    seed: int = 0,
    progress: Progress | None = None,
) -> Robustness:
    """The score of a task under every corruption at every strength.

    Args:
        predictor: what is measured.
        images: prepared, uint8 N×H×W×C.
        targets: N×…, as the task's evaluation takes them.
        task: counts the score.
        seed: decides noise, signs and directions.
        progress: is called with "robustness" after each of the 40 measurements.

    Raises:
        UserError: there are no images.

    >>> from convscope.tasks.task import task_named
    >>> class Bright:
    ...     classes = ("dark", "light")
    ...     def predict(self, images):
    ...         light = images.mean(axis=(1, 2, 3)) / 255 - 0.5
    ...         return np.stack([-light, light], axis=1)
    >>> images = np.repeat(np.array([90, 160], np.uint8), 64).reshape(2, 8, 8, 1)
    >>> bright = measure_robustness(Bright(), images, np.array([0, 1]), task=task_named("classification"))
    >>> bright.clean, bright.by_strength()["rotation"]
    (1.0, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """
    if not len(images):
        raise UserError("there are no images to measure robustness on; choose another split or data set")

    def score(corruption: str, strength: int) -> float:
        # A new evaluation each: a task folds, and need not be able to start again.
        evaluation = task.evaluation(predictor.classes)
        # A batch draws its noise from a seed of its own, which the size of the images alone decides.
        size = max(1, PIXELS // (images.shape[1] * images.shape[2]))
        for start in range(0, len(images), size):
            batch = corrupt(images[start : start + size], corruption, strength, seed=seed + start)
            evaluation.add(predictor.predict(batch), targets[start : start + size])
        return evaluation.figures()[task.score.name]

    # At strength 0 every corruption leaves the images as they are.
    clean = score("noise", 0)
    rows = []
    for name in corruptions:
        kind = corruptions[name]
        for strength, amount in zip(STRENGTHS, kind.amounts, strict=True):
            value = score(name, strength)
            rows.append(CorruptionResult(name, strength, amount, kind.unit, value, len(images)))
            if progress:
                progress("robustness", len(rows), len(corruptions) * len(STRENGTHS))
    mean = float(np.mean([row.score for row in rows]))
    return Robustness(clean, mean, len(images), tuple(rows), task.score.name)


def affordable(most: int, height: int, width: int) -> int:
    """So many images as have the pixels of `most` at 64×64, but no fewer than a fifth of `most`, nor more.

    >>> affordable(1_000, 28, 28), affordable(1_000, 96, 96), affordable(1_000, 224, 224)
    (1000, 444, 200)
    """
    return int(np.clip(most * 64 * 64 // (height * width), most // 5, most))


def sample(
    images: PreparedSplit, count: int | None = None, *, seed: int = 0
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Some images of a split, uint8 N×H×W×C, and their targets.

    Args:
        images: the split.
        count: at most so many; None for 1,000 up to 64×64 pixels, and fewer of larger images, down to 200.
        seed: decides which.
    """
    if count is None:
        count = affordable(SAMPLE, *images.whole.images.shape[1:3])
    # Sorted: a memory-mapped array is then read from front to back.
    chosen = np.sort(generator(seed, "robustness").permutation(len(images))[:count])
    return images.take(chosen), images.targets[chosen]


def robustness_figure(robustness: Robustness) -> Figure:
    """A line for each corruption, named at its end; the dotted one is the score of the images as they are."""
    figure = new_figure(7.2, 4.8)
    axes = figure.subplots()
    lines = {name: [100 * score for score in scores] for name, scores in robustness.by_strength().items()}
    every = [score for scores in lines.values() for score in scores]
    # From just below the lowest line: a scale from 0 would squeeze robust networks into a band.
    floor = max(0.0, min(every) - 5)
    ceiling = max(max(every) + 2, floor + 10)
    axes.axhline(100 * robustness.clean, color=GREY, linewidth=0.8, linestyle=":")
    heights = moved_apart([scores[-1] for scores in lines.values()], gap=LETTER * (ceiling - floor))
    for number, ((name, scores), height) in enumerate(zip(lines.items(), heights, strict=True)):
        colour, style = EIGHT[number % len(EIGHT)], STYLES[number % 2]
        axes.plot((0, *STRENGTHS), scores, style, color=colour, marker="o", markersize=3, linewidth=1.4)
        leader = {"arrowstyle": "-", "color": colour, "linewidth": 1, "shrinkA": 0, "shrinkB": 2}
        axes.annotate(f"{name} {scores[-1]:.0f}", (STRENGTHS[-1], scores[-1]), (STRENGTHS[-1] + 0.18, height),
                      va="center", fontsize=8, annotation_clip=False,
                      arrowprops=leader | {"relpos": (0, 0.5)})  # fmt: skip
    axes.set_xlim(-0.1, STRENGTHS[-1] + 1.15)
    axes.set_ylim(floor, ceiling)
    axes.set_xticks((0, *STRENGTHS), ["clean", *map(str, STRENGTHS)])
    label_axes(axes, "strength of the damage", f"{robustness.score}, %")
    images = f"{robustness.images:,} image{'s' * (robustness.images != 1)}"
    axes.set_title(
        f"{images}, {robustness.clean:.1%} clean, {robustness.mean:.1%} on average when damaged", fontsize=9
    )
    return figure


def moved_apart(heights: list[float], *, gap: float) -> list[float]:
    """The heights, moved so that neighbours are at least `gap` away from each other; their order stays.

    >>> moved_apart([50.0, 50.0, 90.0], gap=4)
    [48.0, 52.0, 90.0]
    """
    order = sorted(range(len(heights)), key=lambda index: heights[index])
    # Names that touch are laid out around their middle, in blocks that grow until none touches another.
    blocks: list[tuple[float, int]] = []  # middle, and how many names it holds
    for index in order:
        middle, size = heights[index], 1
        while blocks and middle - blocks[-1][0] < gap * (size + blocks[-1][1]) / 2:
            before, held = blocks.pop()
            middle, size = (middle * size + before * held) / (size + held), size + held
        blocks.append((middle, size))
    moved = [middle + gap * (k - (size - 1) / 2) for middle, size in blocks for k in range(size)]
    return [moved[order.index(index)] for index in range(len(heights))]
