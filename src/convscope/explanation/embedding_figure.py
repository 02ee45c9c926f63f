"""The figure of an embedding: a point for each image, coloured by class, errors marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from convscope.evaluation.figures import new_figure
from convscope.explanation.embedding import Embedding
from convscope.explanation.unit_figure import shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
# Okabe and Ito 2008 without black, then two of Tol's muted colours; shapes help where colours are near.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#882255", "#999933", "#44AA99")
SHAPES = ("o", "^")
COLOURED = len(COLOURS) * len(SHAPES)
"""Classes up to which each has a colour and shape of its own; of more all are grey and errors alone stand out."""


def embedding_figure(embedding: Embedding, classes: Sequence[str]) -> Figure:
    """The plane with its legend; names stand at the middle of up to twenty classes, a cross on every error."""
    figure = new_figure(8.6, 6.2)
    axes = figure.subplots()
    points, labels = embedding.points, embedding.labels
    present = np.unique(labels)
    wrong = embedding.predicted != labels
    if len(present) > COLOURED:
        axes.scatter(*points[~wrong].T, s=9, color="#999999", alpha=0.6, linewidths=0, label=f"{len(present)} classes")
    for place, k in enumerate(present if len(present) <= COLOURED else ()):
        chosen = points[labels == k]
        colour, shape = COLOURS[place % len(COLOURS)], SHAPES[place // len(COLOURS)]
        name = shortened(classes[k])
        axes.scatter(*chosen.T, s=14, color=colour, marker=shape, alpha=0.75, linewidths=0, label=name)
        axes.annotate(
            name, np.median(chosen, axis=0), fontsize=8, ha="center", va="center", weight="bold", zorder=4,
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colour, "alpha": 0.8},
        )  # fmt: skip
    axes.scatter(*points[wrong].T, s=22, color="black", marker="x", linewidths=0.8, label=f"error ({wrong.sum():,})")
    shares = embedding.shares
    for axis, name in enumerate(("x", "y")):
        held = f", {shares[axis]:.0%} of the variance" if shares else ""
        axes.set(**{f"{name}label": f"{TITLES[embedding.projection]} {axis + 1}{held}", f"{name}ticks": []})
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{len(points):,} images by the {embedding.width:,} features of {embedding.layer}", fontsize=9)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, markerscale=1.4)
    return figure
