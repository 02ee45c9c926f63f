"""How much of the image one place of a map sees: in theory, and as the gradients of a trained network say.

In theory every pixel inside the receptive field can count. In fact those in the middle reach the place on
many paths and those at the edge on few, so that most of the gradient ∂(place)/∂x lies in a much smaller
patch, the effective receptive field (Luo, Li, Urtasun & Zemel 2016, arXiv 1701.04128).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.core.contracts import Progress
from convscope.core.errors import UserError
from convscope.core.seeds import generator
from convscope.explanation.feature_visualisation.activations import no_maps, stage_names, watching
from convscope.models.pytorch.receptive_field import Field, FieldTracer, Pair
from convscope.models.pytorch.shapes import eval_mode

SHARE = 0.95
"""The share of the gradient that the measured field holds."""


@dataclass(frozen=True, eq=False)
class StageField:
    """What the middle place of a stage's maps (`size`: h×w) sees.

    `theory`: the receptive field, None where a place may see the whole image. `gradient`: float H×W, the mean
    |∂/∂x| over images and colours, which sum to 1 unless nothing reaches the place.
    """

    stage: str
    size: Pair
    theory: Field | None
    gradient: NDArray[np.floating[Any]]

    def interval(self, axis: int, share: float = SHARE) -> Pair:
        """The shortest range (start, end) of rows, axis 0, or columns, axis 1, that holds `share` of the
        gradient.
        """
        return shortest(self.gradient.sum(axis=1 - axis), share)

    @property
    def measured(self) -> Pair:
        """Height and width in pixels of the patch that holds 95 % of the gradient, along each axis on its
        own.
        """
        (top, bottom), (left, right) = self.interval(0), self.interval(1)
        return bottom - top, right - left

    @property
    def beyond(self) -> bool:
        """Does the place see more than its receptive field, as behind a gate that averages over the whole
        image?
        """
        if self.theory is None:
            return False
        ranges = [self.interval(axis, 1.0) for axis in (0, 1)]
        return any(end - start > size for (start, end), size in zip(ranges, self.theory.size, strict=True))


def stage_fields(
    network: nn.Module,
    x: Tensor,
    layers: Iterable[str] | None = None,
    *,
    seed: int = 0,
    tell: Progress | None = None,
) -> list[StageField]:
    """The fields of the stages, or of the named layers, in the order of their calls; measured on images
    N×C×H×W.

    The gradient is that of Σ ± a over all maps at the middle place, with a random sign for each map, because
    the plain sum is constant where a layer standardises over its maps. UserError where nothing that was asked
    gives maps.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3, stride=2))
    >>> [(each.size, each.theory.size) for each in stage_fields(net, torch.randn(4, 1, 9, 9))]
    [((7, 7), (3, 3)), ((3, 3), (5, 5))]
    """
    names = stage_names(network) if layers is None else list(layers)
    theory = fields_in_theory(network, x[:1], names)
    x = x.detach().requires_grad_()
    with eval_mode(network), torch.enable_grad():
        with watching(network, names) as maps:
            network(x)
        if not maps:
            raise UserError(no_maps(network, names))
        found = []
        for number, (stage, values) in enumerate(maps.items()):
            gradient = _gradient(values, x, generator(seed, "field", stage))
            found.append(StageField(stage, (values.shape[2], values.shape[3]), theory.get(stage), gradient))
            if tell:
                tell(number + 1, len(maps))
    return found


def fields_in_theory(network: nn.Module, image: Tensor, layers: Iterable[str]) -> dict[str, Field | None]:
    """The receptive field of each layer that gives maps for an image 1×C×H×W; None: a place may see all of
    it.
    """
    with eval_mode(network), FieldTracer(image) as tracer, watching(network, layers) as maps:
        network(image)
    return {layer: tracer.field(values) for layer, values in maps.items()}


def shortest(weights: NDArray[np.floating[Any]], share: float) -> Pair:
    """The shortest range (start, end) of n weights ≥ 0 that holds `share` of their sum; (0, 0) where that is
    0.

    >>> shortest(np.array([0.0, 1.0, 8.0, 1.0, 0.0]), 0.8), shortest(np.array([0.0, 1.0, 8.0, 1.0, 0.0]), 1.0)
    ((2, 3), (1, 4))
    """
    total = weights.sum()
    if not total > 0:
        return 0, 0
    below = np.concatenate([[0.0], np.cumsum(weights / total)])
    # Rounding in the sum must not ask for one weight more than there is.
    ends = np.searchsorted(below, below[:-1] + share - 1e-9)
    lengths = np.where(ends < len(below), ends - np.arange(len(weights)), len(weights) + 1)
    start = int(lengths.argmin())
    return start, int(ends[start])


def field_lines(fields: Sequence[StageField], size: Pair) -> tuple[str, ...]:
    """The table for a terminal, a line for each stage of a network for images of `size` H×W."""
    rows = [("stage", "map", "step", "field in theory", "field measured")]
    for each in fields:
        theory = "the whole image" if each.theory is None else pixels(each.theory.size)
        step = f"{size[0] / each.size[0]:.3g}" if each.theory is None else pixels(each.theory.stride)
        rows.append((each.stage, pixels(each.size), step, theory, pixels(each.measured)))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    if beyond := [each.stage for each in fields if each.beyond]:
        lines.append(
            f"beyond the field in theory: {', '.join(beyond)}; a gate there averages over the whole image"
        )
    return tuple(lines)


def pixels(pair: Pair) -> str:
    """Height and width as people write them.

    >>> pixels((3, 3)), pixels((3, 5))
    ('3', '3×5')
    """
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}×{pair[1]}"


def _gradient(values: Tensor, x: Tensor, draw: np.random.Generator) -> NDArray[np.floating[Any]]:
    """Mean |∂ Σ ± a / ∂x| over images and colours for the middle place of maps N×C×h×w, H×W with sum 1."""
    signs = torch.as_tensor(
        draw.choice([-1.0, 1.0], values.shape[:2]), dtype=values.dtype, device=values.device
    )
    middle = (values[:, :, values.shape[2] // 2, values.shape[3] // 2] * signs).sum()
    (gradient,) = torch.autograd.grad(middle, x, retain_graph=True, materialize_grads=True)
    mean: NDArray[np.floating[Any]] = gradient.abs().double().mean((0, 1)).cpu().numpy()
    return mean / mean.sum() if mean.sum() > 0 else mean
