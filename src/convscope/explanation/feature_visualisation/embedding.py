"""Where the network puts images: its last features, laid out on a plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from convscope.core.batch_size import max_batch_size
from convscope.core.errors import UserError, unknown_name
from convscope.core.plotting import COLOURS, new_figure, short_name
from convscope.core.run.progress import Progress
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.visualiser import LastFeatures, visualiser_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Projection: TypeAlias = Literal["pca", "tsne", "umap"]
NEEDS = {"tsne": ("sklearn", "t-SNE", "scikit-learn"), "umap": ("umap", "UMAP", "umap-learn")}
INSTALL = 'pip install "convscope[embedding]"'
FEWEST = 4
"""Images below which neighbours mean nothing; t-SNE needs more of them than its perplexity, at least one."""

TITLES = {"pca": "PCA", "tsne": "t-SNE", "umap": "UMAP"}
# The colours of lines, the yellow that points are large enough for, and three of Tol's muted colours (2021).
TEN = (*COLOURS, "#F0E442", "#882255", "#999933", "#44AA99")
SHAPES = ("o", "^", "s")
COLOURED = 20
"""Classes up to which each has a colour and shape of its own; with more only errors stand out from grey."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """N images on a plane.

    Attributes:
        points: N×2.
        labels: their classes, N.
        predicted: the classes that the network predicts, N.
        projection: how the plane was found.
        layer: whose features they are.
        width: how many features an image has.
        fractions: of the variance of the features, what each axis holds; for PCA alone.
    """

    points: NDArray[np.floating[Any]]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    projection: Projection
    layer: str
    width: int
    fractions: tuple[float, float] | None = None


def embed(
    model: ExplainedModel,
    part: PreparedSplit,
    projection: Projection = "pca",
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Embedding:
    """The images of a split by their last features, projected on a plane.

    Args:
        model: with the inside of its network.
        part: at least four images.
        projection: pca, tsne or umap; see `project`.
        seed: of t-SNE and UMAP.
        progress: called with "embed", the images done, and all.

    Returns:
        A point for each image.

    Raises:
        UserError: too few images, a projection that is not there or not installed, or predictions alone.
    """
    check_projection(projection)
    if len(part) < FEWEST:
        few = f"{len(part)} image{'s' * (len(part) != 1)}"
        raise UserError(f"{few} cannot be laid out on a plane; give at least {FEWEST}")
    visualiser, found = visualiser_of(model), list[LastFeatures]()
    size = max_batch_size(*model.preprocess.shape[:2])
    for images in part.batches(size):
        found.append(visualiser.last_features(model.inputs(images)))
        if progress:
            progress("embed", min(len(found) * size, len(part)), len(part))
    if progress and projection != "pca":
        # t-SNE and UMAP take 10 to 40 seconds for 2,000 images and do not say how far they are.
        progress("lay out", 0, 1)
    features = np.concatenate([each.features for each in found])
    predicted = np.concatenate([each.logits.argmax(axis=1) for each in found])
    points, fractions = project(features, projection, seed=seed)
    return Embedding(
        points, part.targets, predicted, projection, found[0].layer, features.shape[1], fractions
    )


def check_projection(name: str) -> None:
    """UserError for a projection that does not exist, or whose package is missing, with how to install it."""
    if name not in get_args(Projection):
        raise unknown_name("projection", name, get_args(Projection))
    if name in NEEDS and find_spec(NEEDS[name][0]) is None:
        _, title, package = NEEDS[name]
        raise UserError(
            f"{title} needs the package {package}; install it with {INSTALL}, or use --channel pca"
        )


def missing_projections() -> list[str]:
    """The titles of those whose package is not installed."""
    return [title for module, title, _ in NEEDS.values() if find_spec(module) is None]


def project(
    features: NDArray[np.floating[Any]], projection: Projection, *, seed: int = 0
) -> tuple[NDArray[np.floating[Any]], tuple[float, float] | None]:
    """Points on a plane, and for PCA the fraction of the variance that each axis holds.

    PCA keeps distances as well as two axes can; t-SNE (van der Maaten & Hinton 2008) and UMAP (McInnes, Healy
    & Melville 2018, arXiv 1802.03426) keep neighbours, and the distances between groups mean nothing.

    Args:
        features: N×F.
        projection: pca, tsne or umap.
        seed: of t-SNE and UMAP.

    Returns:
        N×2, and the two fractions or None.
    """
    if projection == "pca":
        return pca(features)
    if projection == "tsne":
        # 30 neighbours are the usual number; fewer images than that have to do with a third of themselves.
        perplexity = min(30.0, max(1.0, len(features) / 3))
        # Imported by name: both packages are optional.
        plane = (
            import_module("sklearn.manifold")
            # A start by PCA keeps more of the global layout than a random one (Kobak & Linderman 2021).
            .TSNE(2, init="pca", perplexity=perplexity, random_state=seed)
            .fit_transform(features)
        )
    else:
        # 15 is the default of UMAP; it has to be below the number of images.
        neighbours = min(15, len(features) - 1)
        plane = (
            import_module("umap")
            # A seed needs one job: https://umap-learn.readthedocs.io/en/latest/reproducibility.html
            .UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1)
            .fit_transform(features)
        )
    return np.asarray(plane, np.float64), None


def pca(features: NDArray[np.floating[Any]]) -> tuple[NDArray[np.floating[Any]], tuple[float, float]]:
    """The two directions along which features N×F vary most (Pearson 1901), by singular value decomposition.

    The sign of a direction means nothing; its largest weight is made positive, so that the picture is the
    same twice.

    >>> points, fractions = pca(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]]))
    >>> points[:, 0].tolist(), [round(fraction, 3) for fraction in fractions]
    ([-2.0, 0.0, 2.0], [1.0, 0.0])
    """
    centred = features - features.mean(axis=0)
    # The full decomposition would also fill an N×N matrix, 4 million numbers for 2,000 images.
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    # A single feature has a single direction; the second axis stays 0.
    axes = np.zeros((2, features.shape[1]))
    axes[: len(directions[:2])] = directions[:2]
    # The weight that decides is the largest, since one near 0 may change its sign by rounding.
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1, keepdims=True), axis=1)
    axes *= np.where(largest < 0, -1, 1)
    power = np.zeros(2)
    power[: len(lengths[:2])] = lengths[:2] ** 2
    total = (lengths**2).sum()
    fractions = power / total if total > 0 else power
    return centred @ axes.T, (float(fractions[0]), float(fractions[1]))


def embedding_figure(embedding: Embedding, classes: Sequence[str]) -> Figure:
    """The plane, a cross on every error, and the legend of K `classes`. Points are pixels in an SVG."""
    from matplotlib import rcParams

    figure = new_figure(8.6, 6.2)
    axes = figure.subplots()
    points, labels = embedding.points, embedding.labels
    present = np.unique(labels)
    wrong = embedding.predicted != labels
    if len(present) > COLOURED:
        _scatter(axes, points[~wrong], "#999999", "o", f"{len(present)} classes")
    for number, k in enumerate(present if len(present) <= COLOURED else ()):
        # 10 colours and 3 shapes have no common factor, so a pair comes back after 30 classes.
        colour, shape = TEN[number % len(TEN)], SHAPES[number % len(SHAPES)]
        _scatter(axes, points[labels == k], colour, shape, short_name(classes[k]))
    # Last, so that no point covers a cross.
    if wrong.any():
        _scatter(axes, points[wrong], rcParams["text.color"], "x", f"error ({wrong.sum():,})")
    fractions = embedding.fractions
    for axis, name in enumerate(("x", "y")):
        held = f", {fractions[axis]:.0%} of the variance" if fractions else ""
        axes.set(**{f"{name}label": f"{TITLES[embedding.projection]} {axis + 1}{held}", f"{name}ticks": []})
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"{len(points):,} images by the {embedding.width:,} features of {embedding.layer}", fontsize=9
    )
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, markerscale=1.4)
    return figure


def _scatter(axes: Axes, points: NDArray[np.floating[Any]], colour: str, shape: str, label: str) -> None:
    # A cross has no area: it is seen by its line width, which filled points do without.
    size, line, alpha = (22, 0.8, 1.0) if shape == "x" else (15, 0.0, 0.75)
    # Thousands of points as vector shapes would make an SVG that is large and slow to open.
    axes.scatter(
        points[:, 0], points[:, 1], s=size, c=colour, marker=shape, linewidths=line, alpha=alpha, label=label,
        rasterized=True,
    )  # fmt: skip
