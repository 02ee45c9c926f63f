"""SmoothGrad: the mean gradient over noisy copies of an image.

The gradient of a deep network changes from one pixel value to the next almost at random; its mean over a
neighbourhood of the image does not. Smilkov and others 2017, arXiv 1706.03825.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.core.seeds import generator
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.method import Maps
from convscope.explanation.pytorch.gradients import for_network, mean_gradient, strongest

COPIES, SPREAD = 32, 0.15
"""The authors see little gain above 50 copies and suggest noise of 10 to 20 % of the image's range."""


def smooth_grad(
    explained_model: ExplainedModel, images: NDArray[np.uint8], targets: NDArray[np.int64]
) -> Maps:
    """max_c |mean gradient|, raw N×H×W."""
    return strongest(smooth_gradient(*for_network(explained_model, images, targets)))


def smooth_gradient(
    network: nn.Module,
    x: Tensor,
    targets: Tensor,
    *,
    copies: int = COPIES,
    spread: float = SPREAD,
    seed: int = 0,
) -> Tensor:
    """1/n Σ_s ∂y/∂x at x + σ ε_s, N×C×H×W, with σ = spread · (max x − min x) of each image and ε_s of
    `unit_noise`.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> gradients = smooth_gradient(net, torch.rand(1, 1, 2, 2), torch.tensor([1]))
    >>> torch.allclose(gradients.flatten(), net[1].weight[1])
    True
    """
    noise = unit_noise(x.shape[1:], copies, seed=seed).to(x)
    sigma = spread * (x.amax(dim=(1, 2, 3)) - x.amin(dim=(1, 2, 3)))

    def points(i: Tensor, s: Tensor) -> Tensor:
        return x[i] + sigma[i].view(-1, 1, 1, 1) * noise[s]

    weights = x.new_full((copies,), 1 / copies)
    return mean_gradient(network, x, targets, weights=weights, points=points)


def unit_noise(shape: Sequence[int], copies: int, *, seed: int) -> Tensor:
    """Normal noise of variance 1, n×C×H×W for images C×H×W.

    All images of a batch share it, so that the map of an image does not depend on what was explained beside
    it.
    """
    return torch.from_numpy(generator(seed, "smooth_grad").standard_normal((copies, *shape)))
