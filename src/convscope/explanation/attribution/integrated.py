"""Integrated gradients: the gradients all the way from a blank image to this one.

For a baseline b, a pixel's share is (x − b) · ∫₀¹ ∂y/∂x (b + α (x − b)) dα. By the fundamental theorem of
calculus the shares of all pixels add up to y(x) − y(b) (completeness), which is what makes them shares; a sum
over points adds up only nearly, so it is checked. Sundararajan and others 2017, arXiv 1703.01365.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from convscope.explanation.attribution.gradients import batches, mean_gradient, summed
from convscope.explanation.explained_model import ExplainedModel, HeatMaps
from convscope.explanation.probe import Classes, Floats, Probe

STEPS, MOST_STEPS = 32, 256
JUMPS = (
    "or shares do not add up in 256 steps, since logits jump between mean colour and image: "
    "try occlusion or rise"
)
"""Why a map may be NaN."""
TOLERANCE = 0.005
"""Of Σ |share|, that a map may leave unexplained. Not of y(x) − y(b), which may be next to nothing where much
speaks for a class and as much against it. On a `small_cnn` of Fashion-MNIST 32 steps leave 0.07 % (median; at
worst 0.5 %)."""
ROUNDING = 1e-5
"""Of the logits themselves: what float32 may lose on the way through a network."""


def integrated_map(model: ExplainedModel, images: NDArray[np.uint8], targets: Classes) -> HeatMaps:
    """Σ_c share_c from the mean colour, raw N×H×W; NaN for an image whose shares do not add up."""
    return summed(complete_shares(model.inside(), model.inputs(images), targets))


def integrated_gradients(
    probe: Probe, x: Floats, targets: Classes, *, baseline: Floats | None = None, steps: int = STEPS
) -> tuple[Floats, Floats]:
    """The shares by Gauss–Legendre quadrature, and what they miss.

    Args:
        probe: the inside of the network.
        x: inputs, N×C×H×W.
        targets: a class for each, N.
        baseline: b, C×H×W or one an image; zeros by default, which are the mean colour.
        steps: points of the quadrature, at least 1.

    Returns:
        Shares N×C×H×W, and the gap N: Σ shares − (y(x) − y(b)), 0 were the integral exact.
    """
    start = _start(x, baseline)
    # n points are exact for polynomials of degree 2n − 1, a Riemann sum of n points for constants alone.
    nodes, lengths = np.polynomial.legendre.leggauss(steps)  # on −1..1, of total length 2
    alphas, weights = ((numbers / 2).astype(x.dtype) for numbers in (nodes + 1, lengths))

    def points(i: NDArray[np.int64], s: NDArray[np.int64]) -> Floats:
        return start[i] + alphas[s][:, None, None, None] * (x[i] - start[i])

    shares = (x - start) * mean_gradient(probe, x, targets, weights=weights, points=points)
    # Completeness: what the shares have to add up to.
    change = _logits(probe, x, targets) - _logits(probe, start, targets)
    return shares, shares.sum(axis=(1, 2, 3)) - change


def complete_shares(probe: Probe, x: Floats, targets: Classes, *, baseline: Floats | None = None) -> Floats:
    """The shares from 32 steps, or from 256 where those leave more than 0.5 % of Σ |share| unexplained.

    Args:
        probe: the inside of the network.
        x: inputs, N×C×H×W.
        targets: a class for each, N.
        baseline: as in `integrated_gradients`.

    Returns:
        N×C×H×W. NaN for images where 256 steps are not enough: the logits jump on the way from the baseline,
        and gradients do not tell how. So they do in an untrained ConvNeXt, whose norms turn the slightest
        contrast on a blank image into a full one.
    """
    start = _start(x, baseline)
    shares, left = np.zeros_like(x), np.arange(len(x))
    # A logit of 1e6 has steps of 0.06 in float32, which no number of points makes smaller.
    rounding = ROUNDING * np.abs(_logits(probe, x, targets))
    for steps in (STEPS, MOST_STEPS):
        if not len(left):
            break
        found, gap = integrated_gradients(probe, x[left], targets[left], baseline=start[left], steps=steps)
        shares[left] = found
        # NaN is not larger than anything: such a map is refused as NaN, not as incomplete.
        left = left[np.abs(gap) > TOLERANCE * np.abs(found).sum(axis=(1, 2, 3)) + rounding[left]]
    # Not what was reached: shares that do not add up would be read as shares.
    shares[left] = np.nan
    return shares


def _start(x: Floats, baseline: Floats | None) -> Floats:
    return np.zeros_like(x) if baseline is None else np.broadcast_to(baseline.astype(x.dtype), x.shape)


def _logits(probe: Probe, x: Floats, targets: Classes) -> Floats:
    """The logit of each image's target, N."""
    found = np.zeros(len(x), x.dtype)
    for batch in batches(len(x), x.shape[2:]):
        logits = probe.logits(x[batch])
        found[batch] = logits[np.arange(len(logits)), targets[batch]]
    return found
