"""Many small pictures as one: a grid of tiles with a line between them, each with a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.floating[Any]]


def stretched(tiles: Floats) -> Floats:
    """Each of N tiles N×… from its least to its greatest value as 0 to 1; a tile of one value becomes 0.

    >>> stretched(np.array([[2.0, 4.0], [3.0, 3.0]])).tolist()
    [[0.0, 1.0], [0.0, 0.0]]
    """
    axes = tuple(range(1, tiles.ndim))
    low = tiles.min(axis=axes, keepdims=True)
    span = tiles.max(axis=axes, keepdims=True) - low
    scaled: Floats = np.divide(tiles - low, span, out=np.zeros_like(tiles), where=span > 0)
    return scaled


def columns_for(count: int, *, shape: float = 2.0) -> int:
    """Columns of a grid of `count` tiles that is about `shape` times as wide as high.

    >>> columns_for(32), columns_for(1), columns_for(0)
    (8, 1, 1)
    """
    # columns / (count / columns) = shape gives columns² = count · shape.
    return max(1, min(count, round(math.sqrt(count * shape))))


def mosaic(tiles: Floats, columns: int, *, gap: int = 1) -> Floats:
    """Tiles N×h×w or N×h×w×3, row by row, as one picture; NaN where none is, and `gap` pixels between them.

    >>> mosaic(np.ones((3, 2, 2)), 2).shape
    (5, 5)
    """
    count, height, width = tiles.shape[:3]
    rows = max(1, math.ceil(count / columns))
    # NaN is drawn as nothing, so the paper shows between the tiles.
    page = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *tiles.shape[3:]), np.nan)
    for number, tile in enumerate(tiles):
        top, left = (number // columns) * (height + gap), (number % columns) * (width + gap)
        page[top : top + height, left : left + width] = tile
    return page


def draw_mosaic(
    axes: Axes,
    tiles: Floats,
    *,
    columns: int,
    labels: Sequence[str] = (),
    cmap: str = "gray",
    size: float = 6.0,
) -> None:
    """Draw tiles with values 0 to 1 in a grid; `labels` stand above each, `size` points high."""
    height, width = tiles.shape[1:3]
    # The line of text above a tile has to fit into the gap: a third of a tile is enough for numbers.
    gap = max(1, round(0.3 * height)) if labels else max(1, round(0.04 * height))
    page = mosaic(tiles, columns, gap=gap)
    # Between the tiles lies the paper, light or dark.
    colours = np.dstack([np.nan_to_num(page), ~np.isnan(page[..., 0])]) if page.ndim == 3 else None
    axes.imshow(
        np.ma.masked_invalid(page) if colours is None else colours,
        cmap=cmap,
        vmin=0,
        vmax=1,
        # Smoothing would blur small tiles, such as 3×3 filters, into the gaps.
        interpolation="nearest",
    )
    for number, label in enumerate(labels):
        y, x = (number // columns) * (height + gap), (number % columns) * (width + gap)
        axes.text(
            x + width / 2 - 0.5, y - 0.5 - 0.03 * height, label, ha="center", va="bottom", fontsize=size
        )
    if labels:
        axes.set_ylim(page.shape[0] - 0.5, -0.5 - gap)  # for the text above the first row
    axes.set_axis_off()
