"""The randomised-weights check: does a map change when all that was learned is taken out of the network?

A map that hardly changes shows the image, such as its edges, and not the network, however convincing it
looks. Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim 2018, arXiv 1810.03292.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convscope.core.seeds import derive
from convscope.explanation.attribute import Attribution, explain_images
from convscope.explanation.explained_model import ExplainedModel
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.predictor import TorchPredictor

Floats = NDArray[np.floating[Any]]


def sanity(
    attribution: Attribution, images: NDArray[np.uint8], reinitialised_model: ExplainedModel | None
) -> NDArray[np.float64]:
    """The rank correlation of each of N maps with that of the network that `reinitialised` made, −1 to 1.

    Near 0 is as it should be; near 1, the map does not depend on what was learned. It is 0 where the other
    network has no map to show, and NaN where there is none to begin with, or no such network. Of signed maps
    the strengths |map| count, since it is by them that a map looks the same.
    """
    nothing = np.array([reason is not None for reason in attribution.refused], dtype=np.bool_)
    if reinitialised_model is None or nothing.all():
        return np.full(len(images), np.nan)
    other = explain_images(reinitialised_model, images, attribution.method, targets=attribution.targets)
    found = rank_correlation(np.abs(attribution.maps), np.abs(other.maps))
    return np.where(nothing, np.nan, found)


def reinitialised(explained_model: ExplainedModel, *, seed: int = 0) -> ExplainedModel | None:
    """The same network with weights as before training, batch norm included; None for anything but a Network.

    Each layer is set back in its own way, `reset_parameters`; weights of layers without one are drawn from a
    normal distribution with the mean and the standard deviation that they have. The network itself stays as
    it is.
    """
    if not isinstance(explained_model.network, Network):
        return None
    network = copy.deepcopy(explained_model.network)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(derive(seed, "unlearned"))  # the word decides the weights, so it stays
        for layer in network.modules():
            _reinitialise(layer)
    device = next((p.device for p in network.parameters()), torch.device("cpu"))
    predictor = TorchPredictor(network, explained_model.preprocess, explained_model.classes, device)
    return replace(explained_model, predictor=predictor, network=network)


def rank_correlation(a: Floats, b: Floats) -> NDArray[np.float64]:
    """Spearman's ρ of N pairs of maps N×H×W, ties at their mean rank; 0 where either map is constant.

    >>> rank_correlation(np.array([[[1.0, 2.0, 9.0]]]), np.array([[[0.1, 0.2, 0.3]]])).round(6).tolist()
    [1.0]
    """
    from scipy.stats import rankdata

    n, h, w = a.shape
    ranks = [rankdata(maps.reshape(n, h * w), axis=1) for maps in (a, b)]
    first, second = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    found: NDArray[np.float64] = np.divide(
        (first * second).sum(axis=1), scale, out=np.zeros(n), where=scale > 0
    )
    return found


def _reinitialise(layer: nn.Module) -> None:
    reset = getattr(layer, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    for weights in layer.parameters(recurse=False):
        if weights.is_floating_point() and weights.numel():
            spread, middle = weights.std(correction=0), weights.mean()
            weights.normal_().mul_(spread).add_(middle)
