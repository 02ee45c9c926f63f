"""Class activation mapping: where the maps of a layer speak for a class. The formulas are in `cam`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.explanation.attribution import cam as formulas
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.method import Compute, Maps
from convscope.explanation.pytorch.capture import Captured, capture, logits_from, maps_of
from convscope.models.pytorch.predictor import max_batch_size
from convscope.models.pytorch.shapes import eval_mode

ROUNDING = 1e-4
"""Share by which an affine tail may miss what its gradient foretells; float32 sums of 100,000 numbers stay
below it.
"""


def from_gradients(formula: Callable[[formulas.Array, formulas.Array], Maps]) -> Compute:
    """The method that makes of maps and gradients N×C×h×w a raw map N×h×w, by one of the formulas in
    `cam`.
    """

    def compute(
        explained_model: ExplainedModel, images: NDArray[np.uint8], targets: NDArray[np.int64]
    ) -> Maps:
        found = _captured(explained_model, explained_model.inputs(images), targets)
        return formula(found.maps.cpu().numpy(), found.gradients.cpu().numpy())

    return compute


def cam(explained_model: ExplainedModel, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Maps:
    """The map N×h×w whose mean over all places is the logit, less what the network answers to blank maps.

    Σ_c w_c · A_c, where the logit is b + Σ_c w_c · mean(A_c) (Zhou and others 2016, arXiv 1512.04150):
    networks that average their last maps and read the means with one linear layer are so, and a UserError
    refuses all others. How the network is written does not matter; what it answers is put to the test.
    """
    x = explained_model.inputs(images)
    found = _captured(explained_model, x, targets)
    if not _affine_in_means(explained_model, x, found, targets):
        raise UserError(
            f"CAM needs a network that reads the mean of each map with one linear layer, and behind layer "
            f"{explained_model.shown_layer!r} there is more than that; use grad_cam, which takes any network"
        )
    weights = found.gradients.sum(
        dim=(2, 3)
    )  # every mean has h·w places, of which each moves it by 1 / (h·w)
    return formulas.weighted(found.maps.cpu().numpy(), weights.cpu().numpy())


def _affine_in_means(
    explained_model: ExplainedModel, x: Tensor, found: Captured, targets: NDArray[np.int64]
) -> bool:
    """Is the logit b + Σ_c w_c · mean(A_c)? The gradients must be even, and foretell the logit of other maps.

    The other maps are these times a factor for each, from 0 to 1. Equal factors would miss a hidden layer of
    ReLU without biases, since that is linear along a line through zero.
    """
    gradient = found.gradients.mean(dim=(2, 3), keepdim=True)
    if not torch.isfinite(found.logits).all():
        return True  # the map will hold NaN, and is refused for that
    factors = torch.arange(1, found.maps.shape[1] + 1, device=x.device).mul(0.618034).remainder(1).to(x.dtype)
    other = found.maps * factors[:, None, None]
    network, chosen = explained_model.torch_network(), _on(x, targets)[:, None]
    there, blank = (
        logits_from(network, x, maps, layer=explained_model.shown_layer).gather(1, chosen)[:, 0]
        for maps in (other, torch.zeros_like(other))
    )
    parts = gradient * other
    scale = parts.abs().sum(dim=(1, 2, 3)) + blank.abs()
    bent = (there - blank - parts.sum(dim=(1, 2, 3))).abs() > ROUNDING * scale
    uneven = (found.gradients - gradient).abs().amax(dim=(1, 2, 3)) > ROUNDING * gradient.abs().amax(
        dim=(1, 2, 3)
    )
    return not bool((bent | uneven).any())


def score_cam(explained_model: ExplainedModel, images: NDArray[np.uint8], targets: NDArray[np.int64]) -> Maps:
    """Σ_c w_c · A_c, where softmax over c of the logits of C masked images gives the weights; raw N×h×w.

    Map A_c, enlarged to the image and stretched to 0 … 1, is the mask: the logit says how much of the class
    the map lets through (Wang and others 2020, arXiv 1910.01279; the logit of a blank image, which they
    subtract, falls out of the softmax). No gradients, but C images to answer for each.
    """
    network, x = explained_model.torch_network(), explained_model.inputs(images)
    maps, _ = maps_of(network, x, layer=explained_model.shown_layer)
    with eval_mode(network), torch.inference_mode():
        scores = _masked_logits(network, x, maps, _on(x, targets))
    weights = torch.softmax(scores, dim=1)
    return formulas.weighted(maps.cpu().numpy(), weights.cpu().numpy())


def eigen_cam(
    explained_model: ExplainedModel, images: NDArray[np.uint8], _targets: NDArray[np.int64]
) -> Maps:
    """What the maps have in common, whatever the class, raw N×h×w; see `cam.eigen_cam`."""
    maps, _ = maps_of(
        explained_model.torch_network(), explained_model.inputs(images), layer=explained_model.shown_layer
    )
    return formulas.eigen_cam(maps.cpu().numpy())


def _masked_logits(network: torch.nn.Module, x: Tensor, maps: Tensor, targets: Tensor) -> Tensor:
    """The logit N×C of each image's class under each of C masks; x N×C'×H×W, maps N×C×h×w.

    A constant map masks everything: all of an image's share the one answer to a blank input.
    """
    size = x.shape[2:]
    scores: Tensor = network(torch.zeros_like(x[:1]))[0, targets][:, None].repeat(1, maps.shape[1])
    low, high = maps.amin(dim=(2, 3)), maps.amax(dim=(2, 3))
    image, channel = torch.nonzero(high > low, as_tuple=True)
    lot = max_batch_size(*size)
    for start in range(0, len(image), lot):
        i, k = image[start : start + lot], channel[start : start + lot]
        # Corners on corners, as the authors enlarge them.
        mask = F.interpolate(maps[i, k][:, None], size=size, mode="bilinear", align_corners=True)
        low, high = mask.amin(dim=(2, 3), keepdim=True), mask.amax(dim=(2, 3), keepdim=True)
        masked = x[i] * ((mask - low) / (high - low + 1e-8))
        masked = masked.contiguous(memory_format=torch.channels_last)
        scores[i, k] = network(masked).gather(1, targets[i, None])[:, 0]
    return scores


def _captured(explained_model: ExplainedModel, x: Tensor, targets: NDArray[np.int64]) -> Captured:
    return capture(explained_model.torch_network(), x, _on(x, targets), layer=explained_model.shown_layer)


def _on(x: Tensor, targets: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(targets).to(x.device)
