"""The randomised-weights check: does a map change when all that was learned is taken out of the network?

A map that hardly changes shows the image, such as its edges, and not the network, however convincing it
looks. Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim 2018, arXiv 1810.03292.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from convscope.explanation.attribute import Attribution, explain_images
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.probe import Floats, probe_of


def sanity(
    attribution: Attribution, images: NDArray[np.uint8], reinitialised_model: ExplainedModel | None
) -> NDArray[np.float64]:
    """The rank correlation of each map with that of the network before training.

    Near 0 is as it should be; near 1, the map does not depend on what was learned. Of signed maps the
    strengths |map| count, since it is by them that a map looks the same.

    Args:
        attribution: N heat maps of one method.
        images: what they explain, uint8 N×H×W×C.
        reinitialised_model: as `reinitialised` makes it.

    Returns:
        −1 to 1 for each map, N: 0 where the other network has no map to show, and NaN where there is none to
        begin with, or no such network.
    """
    nothing = np.array([reason is not None for reason in attribution.refused], dtype=np.bool_)
    if reinitialised_model is None or nothing.all():
        return np.full(len(images), np.nan)
    # The same targets, although the fresh network predicts others: it is the map that is compared.
    other = explain_images(reinitialised_model, images, attribution.method, targets=attribution.targets)
    found = rank_correlation(np.abs(attribution.heat_maps), np.abs(other.heat_maps))
    # Where there was no map to begin with, 0 would count as good.
    return np.where(nothing, np.nan, found)


def reinitialised(model: ExplainedModel, *, seed: int = 0) -> ExplainedModel | None:
    """The same network with weights as before training, by `seed`; None where its engine cannot do that."""
    predictor = None if model.probe is None else model.probe.reinitialised(seed)
    # The layer stays the one that was named; without a name it is found again, by the same shapes.
    return None if predictor is None else replace(model, predictor=predictor, probe=probe_of(predictor))


def rank_correlation(a: Floats, b: Floats) -> NDArray[np.float64]:
    """Spearman's ρ of N pairs of maps N×H×W, ties at their mean rank; 0 where either map is constant.

    >>> rank_correlation(np.array([[[1.0, 2.0, 9.0]]]), np.array([[[0.1, 0.2, 0.3]]])).round(6).tolist()
    [1.0]
    """
    from scipy.stats import rankdata

    n, h, w = a.shape
    # Ranks and not values: a map of another contrast still looks the same.
    ranks = [rankdata(maps.reshape(n, h * w), axis=1) for maps in (a, b)]
    first, second = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    scale = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    # A constant map would be 0 / 0.
    found: NDArray[np.float64] = np.divide(
        (first * second).sum(axis=1), scale, out=np.zeros(n), where=scale > 0
    )
    return found
