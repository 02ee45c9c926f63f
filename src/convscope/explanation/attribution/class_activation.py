"""Class activation mapping: where a layer's feature maps speak for a class. The formulas are in `cam`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from convscope.core.batch_size import max_batch_size
from convscope.core.errors import UserError
from convscope.explanation.attribution import cam as formulas
from convscope.explanation.explained_model import ExplainedModel, HeatMaps
from convscope.explanation.probe import Classes, Floats, LayerGradients, Probe

ROUNDING = 1e-4
"""By which an affine tail may miss what its gradient foretells; 100,000 float32 numbers sum up better."""


def from_gradients(
    formula: Callable[[Floats, Floats], HeatMaps],
) -> Callable[[ExplainedModel, NDArray[np.uint8], Classes], HeatMaps]:
    """The method that makes a raw map N×h×w of feature maps and gradients N×D×h×w, by a formula of `cam`."""

    def compute(model: ExplainedModel, images: NDArray[np.uint8], targets: Classes) -> HeatMaps:
        found = model.inside().layer_gradients(model.inputs(images), targets, model.shown_layer)
        return formula(found.feature_maps, found.gradients)

    return compute


def cam(model: ExplainedModel, images: NDArray[np.uint8], targets: Classes) -> HeatMaps:
    """The map N×h×w whose mean over all positions is the logit, less that of blank feature maps.

    Σ_d w_d · A_d, where the logit is b + Σ_d w_d · mean(A_d) (Zhou and others 2016, arXiv 1512.04150):
    networks that average their last feature maps and read the means with one linear layer are so, and a
    UserError refuses all others. How the network is written does not matter; its logits are put to the test.
    """
    x, layer = model.inputs(images), model.shown_layer
    found = model.inside().layer_gradients(x, targets, layer)
    if not _affine_in_means(model.inside(), x, found, targets, layer):
        raise UserError(
            f"CAM needs a network that reads the mean of each map with one linear layer, and behind layer "
            f"{layer!r} there is more than that; use grad_cam, which takes any network"
        )
    # A mean has h·w positions, and each moves it by 1 / (h·w), so the weight is the sum of their gradients.
    return formulas.weighted(found.feature_maps, found.gradients.sum(axis=(2, 3)))


def _affine_in_means(probe: Probe, x: Floats, found: LayerGradients, targets: Classes, layer: str) -> bool:
    """Is the logit b + Σ_d w_d · mean(A_d)? Gradients must be even, and foretell the logit of other maps.

    The other maps are these times a factor for each, from 0 to 1. Equal factors would miss a hidden layer of
    ReLU without biases, since that is linear along a line through zero.
    """
    if not np.isfinite(found.logits).all():
        return True  # the map will hold NaN, and is refused for that
    gradient = found.gradients.mean(axis=(2, 3), keepdims=True)
    # Multiples of the golden ratio spread evenly over 0 … 1, and no two of a few thousand are equal.
    factors = np.mod(0.618034 * np.arange(1, found.feature_maps.shape[1] + 1), 1)
    other = found.feature_maps * factors.astype(found.feature_maps.dtype)[:, None, None]
    there, blank = (
        np.take_along_axis(probe.logits(x, (layer, maps)), targets[:, None], axis=1)[:, 0]
        for maps in (other, np.zeros_like(other))
    )
    parts = gradient * other
    scale = np.abs(parts).sum(axis=(1, 2, 3)) + np.abs(blank)
    # Relative to the parts and not to their sum, which may be near 0 where they cancel.
    bent = np.abs(there - blank - parts.sum(axis=(1, 2, 3))) > ROUNDING * scale
    largest = np.abs(gradient).max(axis=(1, 2, 3), initial=0)
    uneven = np.abs(found.gradients - gradient).max(axis=(1, 2, 3), initial=0) > ROUNDING * largest
    return not bool((bent | uneven).any())


def score_cam(model: ExplainedModel, images: NDArray[np.uint8], targets: Classes) -> HeatMaps:
    """Σ_d w_d · A_d, where softmax over d of the logits of D masked images gives the weights; raw N×h×w.

    Feature map A_d, enlarged to the image and stretched to 0 … 1, is the mask: the logit says how much of the
    class it lets through (Wang and others 2020, arXiv 1910.01279; the logit of a blank image, which they
    subtract, falls out of the softmax). No gradients, but D images to predict for each.
    """
    x = model.inputs(images)
    feature_maps = layer_maps(model, x)
    scores = _masked_logits(model.inside(), x, feature_maps, targets)
    # Less the largest, so that exp does not overflow; it falls out of the quotient.
    weights = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    return formulas.weighted(feature_maps, weights / weights.sum(axis=1, keepdims=True))


def eigen_cam(model: ExplainedModel, images: NDArray[np.uint8], _targets: Classes) -> HeatMaps:
    """What the feature maps have in common, whatever the class, raw N×h×w; see `cam.eigen_cam`."""
    return formulas.eigen_cam(layer_maps(model, model.inputs(images)))


def layer_maps(model: ExplainedModel, x: Floats) -> Floats:
    """The feature maps N×D×h×w of the shown layer for inputs N×C×H×W."""
    found, _ = model.inside().feature_maps(x, [model.shown_layer])
    return found[model.shown_layer]


def _masked_logits(probe: Probe, x: Floats, feature_maps: Floats, targets: Classes) -> Floats:
    """The logit N×D of each image's class under each of D masks; x N×C×H×W, feature maps N×D×h×w.

    A constant map masks everything: all of an image's share the one logit of a blank input.
    """
    blank = probe.logits(np.zeros_like(x[:1]))
    scores = np.repeat(blank[0, targets][:, None] if len(x) else blank[:, :1], feature_maps.shape[1], axis=1)
    # Stretching a constant map to 0 … 1 would divide by 0.
    varied = feature_maps.max(axis=(2, 3)) > feature_maps.min(axis=(2, 3))
    image, channel = np.nonzero(varied)
    size = max_batch_size(*x.shape[2:])
    for start in range(0, len(image), size):
        i, d = image[start : start + size], channel[start : start + size]
        # Corners on corners, as the authors enlarge them.
        masks = formulas.enlarged(feature_maps[i, d], x.shape[2:], corners=True)[:, None]
        low, high = masks.min(axis=(2, 3), keepdims=True), masks.max(axis=(2, 3), keepdims=True)
        # Masks multiply normalised pixels, so what is hidden has the mean colour and not black.
        logits = probe.logits(x[i] * ((masks - low) / (high - low + 1e-8)))
        scores[i, d] = logits[np.arange(len(i)), targets[i]]
    return scores
