"""The figure of an embedding: a point for each image, coloured by class, errors marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.plotting import COLOURS, new_figure, short_name
from convscope.explanation.feature_visualisation.embedding import Embedding

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
# The colours of lines, the yellow that points are large enough for, and three of Tol's muted colours (2021).
TEN = (*COLOURS, "#F0E442", "#882255", "#999933", "#44AA99")
SHAPES = ("o", "^", "s")
COLOURED = 20
"""Classes up to which each has a colour and shape of its own; of more all are grey and errors alone stand
out.
"""


def embedding_figure(embedding: Embedding, classes: Sequence[str]) -> Figure:
    """The plane with its legend; a cross on every error. Points stay pixels in an SVG."""
    from matplotlib import rcParams

    figure = new_figure(8.6, 6.2)
    axes = figure.subplots()
    points, labels = embedding.points, embedding.labels
    present = np.unique(labels)
    wrong = embedding.predicted != labels
    if len(present) > COLOURED:
        _scatter(axes, points[~wrong], "#999999", "o", f"{len(present)} classes")
    for place, k in enumerate(present if len(present) <= COLOURED else ()):
        colour, shape = TEN[place % len(TEN)], SHAPES[place % len(SHAPES)]
        _scatter(axes, points[labels == k], colour, shape, short_name(classes[k]))
    if wrong.any():
        _scatter(axes, points[wrong], rcParams["text.color"], "x", f"error ({wrong.sum():,})")
    shares = embedding.shares
    for axis, name in enumerate(("x", "y")):
        held = f", {shares[axis]:.0%} of the variance" if shares else ""
        axes.set(**{f"{name}label": f"{TITLES[embedding.projection]} {axis + 1}{held}", f"{name}ticks": []})
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"{len(points):,} images by the {embedding.width:,} features of {embedding.layer}", fontsize=9
    )
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, markerscale=1.4)
    return figure


def _scatter(axes: Axes, points: NDArray[np.floating[Any]], colour: str, shape: str, label: str) -> None:
    size, line, alpha = (22, 0.8, 1.0) if shape == "x" else (15, 0.0, 0.75)
    axes.scatter(
        points[:, 0], points[:, 1], s=size, c=colour, marker=shape, linewidths=line, alpha=alpha, label=label,
        rasterized=True,
    )  # fmt: skip
