"""How much of the image one position of a feature map sees: in theory, and by the gradients of the network.

In theory every pixel inside the receptive field can count. In fact those in the middle reach the position on
many paths and those at the edge on few, so that most of the gradient ∂(position)/∂x lies in a much smaller
patch, the effective receptive field (Luo, Li, Urtasun & Zemel 2016, arXiv 1701.04128).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.run.progress import Progress
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.visualiser import visualiser_of
from convscope.models.receptive_field import Field, Pair

# Not all of it: the tiny gradients far out would make the field as large as in theory.
FRACTION = 0.95
"""The fraction of the gradient that the measured field holds."""


@dataclass(frozen=True, eq=False)
class StageField:
    """What the middle position of a stage's feature maps sees.

    Attributes:
        stage: its name.
        size: h×w of its feature maps.
        theory: the receptive field; None where a position may see the whole image.
        gradient: the mean |∂/∂x| over images and colours, H×W with sum 1, or 0 where nothing reaches the
            position.
    """

    stage: str
    size: Pair
    theory: Field | None
    gradient: NDArray[np.floating[Any]]

    def interval(self, axis: int, fraction: float = FRACTION) -> Pair:
        """The shortest range (start, end) along rows, axis 0, or columns, axis 1, with `fraction` of it."""
        return shortest(self.gradient.sum(axis=1 - axis), fraction)

    @property
    def measured(self) -> Pair:
        """Height and width in pixels of the patch with 95 % of the gradient, along each axis on its own."""
        (top, bottom), (left, right) = self.interval(0), self.interval(1)
        return bottom - top, right - left

    @property
    def beyond(self) -> bool:
        """Does it see more than its receptive field, as behind a gate that averages over the whole image?"""
        if self.theory is None:
            return False
        # All of the gradient and not 95 %: one pixel outside shows that more is seen.
        ranges = [self.interval(axis, 1.0) for axis in (0, 1)]
        return any(end - start > size for (start, end), size in zip(ranges, self.theory.size, strict=True))


def stage_fields(
    model: ExplainedModel,
    images: NDArray[np.uint8],
    layers: Sequence[str] | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[StageField]:
    """The fields of the stages, or of the named layers, in the order of their calls.

    Args:
        model: with the inside of its network.
        images: prepared images to measure on, uint8 N×H×W×C, at least one.
        layers: names; None for the stages.
        seed: of the random signs of the feature maps.
        progress: called with "measure receptive fields", the layers done, and all.

    Returns:
        One entry a layer that gives feature maps.

    Raises:
        UserError: no layer gives any, or only predictions are at hand.
    """
    visualiser, names = visualiser_of(model), model.inside().layers() if layers is None else layers
    inputs = model.inputs(images)
    # By shapes alone, so any image will do.
    theory = visualiser.receptive_fields(inputs, names)
    measured = visualiser.measured_fields(inputs, names, seed=seed, progress=progress)
    return [StageField(stage, size, theory.get(stage), each) for stage, (size, each) in measured.items()]


def shortest(weights: NDArray[np.floating[Any]], fraction: float) -> Pair:
    """The shortest range (start, end) of n weights ≥ 0 with `fraction` of their sum; (0, 0) if that is 0.

    >>> shortest(np.array([0.0, 1.0, 8.0, 1.0, 0.0]), 0.8), shortest(np.array([0.0, 1.0, 8.0, 1.0, 0.0]), 1.0)
    ((2, 3), (1, 4))
    """
    total = weights.sum()
    # Not `<= 0`, because a sum that is NaN has to end here, too.
    if not total > 0:
        return 0, 0
    below = np.concatenate([[0.0], np.cumsum(weights / total)])
    # Rounding in the sum must not ask for one weight more than there is.
    # For each start the first end that holds enough; the shortest of all is found without a double loop.
    ends = np.searchsorted(below, below[:-1] + fraction - 1e-9)
    # A start too near the end never holds enough; the largest length keeps it from being chosen.
    lengths = np.where(ends < len(below), ends - np.arange(len(weights)), len(weights) + 1)
    start = int(lengths.argmin())
    return start, int(ends[start])


def field_lines(fields: Sequence[StageField], size: Pair) -> tuple[str, ...]:
    """The table for a terminal, a line for each stage of a network for images of `size` H×W."""
    rows = [
        ("stage", "map", "step", "field in theory", "field measured"),
        *(_row(each, size) for each in fields),
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    if beyond := [each.stage for each in fields if each.beyond]:
        lines.append(
            f"beyond the field in theory: {', '.join(beyond)}; a gate there averages over the whole image"
        )
    return tuple(lines)


def _row(field: StageField, size: Pair) -> tuple[str, ...]:
    if field.theory is None:
        # No stride is known without a field; pixels a position come nearest to it.
        step, theory = f"{size[0] / field.size[0]:.3g}", "the whole image"
    else:
        step, theory = pixels(field.theory.stride), pixels(field.theory.size)
    return field.stage, pixels(field.size), step, theory, pixels(field.measured)


def pixels(pair: Pair) -> str:
    """Height and width as people write them.

    >>> pixels((3, 3)), pixels((3, 5))
    ('3', '3×5')
    """
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}×{pair[1]}"
