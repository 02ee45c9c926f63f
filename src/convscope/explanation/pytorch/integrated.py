"""Integrated gradients: the gradients all the way from a blank image to this one.

For a baseline b, a pixel's share is (x − b) · ∫₀¹ ∂y/∂x (b + α (x − b)) dα. By the fundamental theorem of
calculus the shares of all pixels add up to y(x) − y(b) (completeness), which is what makes them shares; a sum
over points adds up only nearly, so it is checked. Sundararajan and others 2017, arXiv 1703.01365.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.method import Maps
from convscope.explanation.pytorch.gradients import batches, for_network, mean_gradient, summed
from convscope.models.pytorch.shapes import eval_mode

STEPS, MOST_STEPS = 32, 256
JUMPS = "or shares do not add up in 256 steps, since answers jump between mean colour and image: try occlusion or rise"
"""Why a map may be NaN."""
TOLERANCE = 0.005
"""Of Σ |share|, that a map may leave unexplained. Not of y(x) − y(b), which may be next to nothing where much
speaks for a class and as much against it. On a `small_cnn` of Fashion-MNIST 32 steps leave 0.07 % (median; at
worst 0.5 %)."""
ROUNDING = 1e-5
"""Of the logits themselves: what float32 may lose on the way through a network."""


def integrated_map(
    explained_model: ExplainedModel, images: NDArray[np.uint8], targets: NDArray[np.int64]
) -> Maps:
    """Σ_c share_c from the mean colour, raw N×H×W; NaN for an image whose shares do not add up."""
    return summed(complete_shares(*for_network(explained_model, images, targets)))


def integrated_gradients(
    network: nn.Module, x: Tensor, targets: Tensor, *, baseline: Tensor | None = None, steps: int = STEPS
) -> tuple[Tensor, Tensor]:
    """The shares N×C×H×W of images N×C×H×W, and the gap N: Σ shares − (y(x) − y(b)), 0 were the integral
    exact.

    Gauss–Legendre quadrature with `steps` points. `baseline`: C×H×W, or one an image; zeros by default, which
    are the mean colour.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> shares, gap = integrated_gradients(net, torch.ones(1, 1, 2, 2), torch.tensor([1]), steps=3)
    >>> shares.shape, bool(gap.abs().max() < 1e-6)
    (torch.Size([1, 1, 2, 2]), True)
    """
    start = torch.zeros_like(x) if baseline is None else baseline.to(x).expand_as(x)
    nodes, lengths = np.polynomial.legendre.leggauss(steps)  # on −1..1, of total length 2
    alphas, weights = (torch.from_numpy(numbers / 2).to(x) for numbers in (nodes + 1, lengths))

    def points(i: Tensor, s: Tensor) -> Tensor:
        return start[i] + alphas[s].view(-1, 1, 1, 1) * (x[i] - start[i])

    shares = (x - start) * mean_gradient(network, x, targets, weights=weights, points=points)
    change = _logits(network, x, targets) - _logits(network, start, targets)
    return shares, shares.sum(dim=(1, 2, 3)) - change


def complete_shares(
    network: nn.Module, x: Tensor, targets: Tensor, *, baseline: Tensor | None = None
) -> Tensor:
    """The shares N×C×H×W from 32 steps, or from 256 where those leave more than 0.5 % of Σ |share|
    unexplained.

    NaN for images where that is not enough: the answers jump on the way from the baseline, and gradients do
    not tell how. So they do in an untrained ConvNeXt, whose norms turn the slightest contrast on a blank
    image into a full one.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> complete_shares(net, torch.ones(3, 1, 2, 2), torch.tensor([1, 0, 1])).shape
    torch.Size([3, 1, 2, 2])
    """
    start = torch.zeros_like(x) if baseline is None else baseline.to(x).expand_as(x)
    shares, left = torch.zeros_like(x), torch.arange(len(x), device=x.device)
    rounding = ROUNDING * _logits(network, x, targets).abs()
    for steps in (STEPS, MOST_STEPS):
        if not len(left):
            break
        found, gap = integrated_gradients(network, x[left], targets[left], baseline=start[left], steps=steps)
        shares[left] = found
        # What is NaN is not larger than anything: that map is refused as NaN, not as incomplete.
        wrong = gap.abs() > TOLERANCE * found.abs().sum(dim=(1, 2, 3)) + rounding[left]
        left = left[wrong]
    shares[left] = torch.nan
    return shares


def _logits(network: nn.Module, x: Tensor, targets: Tensor) -> Tensor:
    found = x.new_zeros(len(x))
    with eval_mode(network):
        for lot in batches(len(x), x.shape[2:]):
            found[lot] = network(x[lot]).gather(1, targets[lot][:, None])[:, 0]
    return found
