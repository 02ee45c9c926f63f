"""Where the network puts images: its last features, laid out on a plane."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.core.contracts import Tell
from convscope.core.errors import UserError, unknown_name
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.activations import no_maps, stage_names, watching
from convscope.explanation.pytorch.capture import find_module
from convscope.models.pytorch.predictor import max_batch_size
from convscope.models.pytorch.shapes import eval_mode, trace

Projection: TypeAlias = Literal["pca", "tsne", "umap"]
NEEDS = {"tsne": ("sklearn", "t-SNE", "scikit-learn"), "umap": ("umap", "UMAP", "umap-learn")}
INSTALL = 'pip install "convscope[embedding]"'
FEWEST = 4
"""Images below which neighbours mean nothing; t-SNE needs more of them than its perplexity, at least one."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """N images on a plane: `points` N×2, `labels` and `predicted` N.

    `shares`: of the features' variance, what each of the two axes holds, for PCA alone. `layer`: whose
    features.
    """

    points: NDArray[np.floating[Any]]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    projection: Projection
    layer: str
    width: int
    shares: tuple[float, float] | None = None


def embed(
    explained_model: ExplainedModel,
    part: PreparedSplit,
    projection: Projection = "pca",
    *,
    seed: int = 0,
    tell: Tell | None = None,
) -> Embedding:
    """The images of a part by their last features: `last_features`, projected with `project`. Errors are
    theirs.

    `tell(what, done, total)` is called as work goes on.
    """
    check_projection(projection)
    if len(part) < FEWEST:
        few = f"{len(part)} image{'s' * (len(part) != 1)}"
        raise UserError(f"{few} cannot be laid out on a plane; give at least {FEWEST}")
    network = explained_model.torch_network()
    height, width = explained_model.preprocess.shape[:2]
    size = max_batch_size(height, width)
    blank = explained_model.inputs(np.zeros((1, *explained_model.preprocess.shape), np.uint8))
    layer = last_layer(network, blank)
    rows, answers = [], []
    for images in part.batches(size):
        features, logits = last_features(network, explained_model.inputs(images), layer)
        rows.append(features.double().cpu().numpy())
        answers.append(logits.argmax(1).cpu().numpy())
        if tell:
            tell("look", min(len(rows) * size, len(part)), len(part))
    if tell and projection != "pca":
        tell(
            "lay out", 0, 1
        )  # t-SNE and UMAP take 10 to 40 seconds for 2,000 images and do not say how far they are
    found = np.concatenate(rows)
    points, shares = project(found, projection, seed=seed)
    return Embedding(points, part.targets, np.concatenate(answers), projection, layer, found.shape[1], shares)


def check_projection(name: str) -> None:
    """UserError for a projection that does not exist or whose package is missing; it says how to install
    it.
    """
    if name not in get_args(Projection):
        raise unknown_name("projection", name, get_args(Projection))
    if name in NEEDS and find_spec(NEEDS[name][0]) is None:
        _, title, package = NEEDS[name]
        raise UserError(f"{title} needs the package {package}; install it with {INSTALL}, or use --unit pca")


def missing_projections() -> list[str]:
    """The titles of those whose package is not installed."""
    return [title for module, title, _ in NEEDS.values() if find_spec(module) is None]


def last_layer(network: nn.Module, image: Tensor) -> str:
    """The last linear layer that an image 1×C×H×W comes to, else the last stage that gives maps.

    >>> import torch
    >>> last_layer(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)), torch.zeros(1, 1, 4, 4))
    '2'
    """
    calls, _ = trace(network, image)
    linear = [call.name for call in calls if isinstance(call.layer, nn.Linear)]
    if linear:
        return linear[-1]
    names = stage_names(network)
    with eval_mode(network), watching(network, names) as maps:
        network(image)
    if not maps:
        raise UserError(no_maps(network, names))
    return next(reversed(maps))


def last_features(network: nn.Module, x: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Features N×F and logits N×K for images N×C×H×W: what a linear layer gets, or the mean of each map of a
    stage.
    """
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        kept[:] = [inputs[0] if isinstance(module, nn.Linear) else output.mean((2, 3))]

    handle = find_module(network, layer).register_forward_hook(keep)
    try:
        with eval_mode(network):
            logits: Tensor = network(x)
    finally:
        handle.remove()
    features = kept[0]
    return features.reshape(len(x), -1, features.shape[-1]).mean(1), logits


def project(
    features: NDArray[np.floating[Any]], projection: Projection, *, seed: int = 0
) -> tuple[NDArray[np.floating[Any]], tuple[float, float] | None]:
    """Features N×F as points N×2 and, for PCA, the share of the variance that each axis holds.

    PCA keeps distances as well as two axes can; t-SNE (van der Maaten & Hinton 2008) and UMAP (McInnes, Healy
    & Melville 2018, arXiv 1802.03426) keep neighbours, and the distances between groups mean nothing.
    """
    if projection == "pca":
        return pca(features)
    if projection == "tsne":
        # 30 neighbours are the usual number; fewer images than that have to do with a third of themselves.
        perplexity = min(30.0, max(1.0, len(features) / 3))
        plane = (
            import_module("sklearn.manifold")
            .TSNE(2, init="pca", perplexity=perplexity, random_state=seed)
            .fit_transform(features)
        )
    else:
        neighbours = min(15, len(features) - 1)
        plane = (
            import_module("umap")
            .UMAP(n_neighbors=neighbours, random_state=seed, n_jobs=1)
            .fit_transform(features)
        )
    return np.asarray(plane, np.float64), None


def pca(features: NDArray[np.floating[Any]]) -> tuple[NDArray[np.floating[Any]], tuple[float, float]]:
    """The two directions along which features N×F vary most (Pearson 1901), by singular value decomposition.

    The sign of a direction means nothing; its largest weight is made positive, so that the picture is the
    same twice.

    >>> points, shares = pca(np.array([[0.0, 0.0], [2.0, 0.0], [4.0, 0.0]]))
    >>> points[:, 0].tolist(), [round(share, 3) for share in shares]
    ([-2.0, 0.0, 2.0], [1.0, 0.0])
    """
    centred = features - features.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    axes = np.zeros((2, features.shape[1]))
    axes[: len(directions[:2])] = directions[:2]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1, keepdims=True), axis=1)
    axes *= np.where(largest < 0, -1, 1)
    power = np.zeros(2)
    power[: len(lengths[:2])] = lengths[:2] ** 2
    total = (lengths**2).sum()
    shares = power / total if total > 0 else power
    return centred @ axes.T, (float(shares[0]), float(shares[1]))
