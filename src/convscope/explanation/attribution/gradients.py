"""Gradients with respect to the pixels: what a small change of the image would do to the logit of a class.

The functions below `guided_backprop` take a probe, inputs x N×C×H×W and targets N, and work on as many
images at a time as fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from convscope.core.seeds import generator
from convscope.explanation.explained_model import ExplainedModel, HeatMaps
from convscope.explanation.probe import Classes, Floats, Probe, Score

MOST_IMAGES, MOST_PIXELS = 64, 250_000
"""For one gradient: a quarter of what a prediction takes, because the maps of all layers are kept for it."""
COPIES, NOISE = 32, 0.15
"""Of SmoothGrad. The authors see little gain above 50 copies and suggest noise of 10 to 20 % of the range."""


def saliency(model: ExplainedModel, images: NDArray[np.uint8], targets: Classes) -> HeatMaps:
    """max_c |∂y/∂x_c|, raw N×H×W: where y is easily moved (Simonyan and others 2013, arXiv 1312.6034)."""
    return strongest(input_gradient(model.inside(), model.inputs(images), targets))


def gradient_x_input(model: ExplainedModel, images: NDArray[np.uint8], targets: Classes) -> HeatMaps:
    """Σ_c x_c · ∂y/∂x_c, raw N×H×W: the share in y, were the network linear (Shrikumar and others 2016).

    x is the normalised image, so a pixel of the mean colour has no share.
    """
    x = model.inputs(images)
    # x is 0 where a pixel has the mean colour, whatever its gradient.
    return summed(x * input_gradient(model.inside(), x, targets))


def guided_backprop(model: ExplainedModel, images: NDArray[np.uint8], targets: Classes) -> HeatMaps:
    """max_c |guided gradient|, raw N×H×W (Springenberg and others 2014, arXiv 1412.6806).

    UserError for a network without ReLU.
    """
    return strongest(input_gradient(model.inside(), model.inputs(images), targets, guided=True))


def smooth_grad(model: ExplainedModel, images: NDArray[np.uint8], targets: Classes) -> HeatMaps:
    """max_c |mean gradient over noisy copies|, raw N×H×W (Smilkov and others 2017, arXiv 1706.03825).

    The gradient of a deep network changes from one pixel value to the next almost at random; its mean over a
    neighbourhood of the image does not.
    """
    return strongest(smooth_gradient(model.inside(), model.inputs(images), targets))


def strongest(attributions: Floats) -> HeatMaps:
    """max_c |a_c|, N×C×H×W to N×H×W, where the sign says only whether brighter or darker would help."""
    found: HeatMaps = np.abs(attributions).max(axis=1)
    return found


def summed(attributions: Floats) -> HeatMaps:
    """Σ_c a_c, N×C×H×W to N×H×W, for shares that add up over the pixels."""
    found: HeatMaps = attributions.sum(axis=1)
    return found


def input_gradient(
    probe: Probe, x: Floats, targets: Classes, *, of: Score = "logit", guided: bool = False
) -> Floats:
    """∂score/∂x in batches.

    Args:
        probe: the inside of the network.
        x: inputs, N×C×H×W.
        targets: a class for each, N.
        of: the logit of the target, or its log odds against.
        guided: every ReLU passes back only what is above 0.

    Returns:
        N×C×H×W; zeros where the score does not depend on the image.

    Raises:
        UserError: `guided`, and the network has no ReLU.
    """
    parts = [
        probe.input_gradients(x[batch], targets[batch], of=of, guided=guided)
        for batch in batches(len(x), x.shape[2:])
    ]
    return np.concatenate(parts) if parts else np.zeros_like(x)


def mean_gradient(
    probe: Probe,
    x: Floats,
    targets: Classes,
    *,
    weights: Floats,
    points: Callable[[NDArray[np.int64], NDArray[np.int64]], Floats],
) -> Floats:
    """Σ_s w_s · ∂y/∂x at S points for each image.

    Args:
        probe: the inside of the network.
        x: inputs, N×C×H×W.
        targets: a class for each, N.
        weights: w, S numbers.
        points: from M numbers of images and M of points, the M inputs M×C×H×W to take the gradient at. Pairs
            are batched to fit into memory, whether they are few images with many points or the other way.

    Returns:
        N×C×H×W.
    """
    total, count = np.zeros_like(x), len(weights)
    for batch in batches(len(x) * count, x.shape[2:]):
        # Pair number n is point s of image i; images in the outer loop, so a batch holds few of them.
        i, s = np.divmod(np.arange(batch.start, batch.stop), count)
        gradients = probe.input_gradients(points(i, s), targets[i])
        # Pairs of one image stand together, so each image is one run of rows; its first row starts the sum.
        starts = np.flatnonzero(np.diff(i, prepend=-1))
        total[i[starts]] += np.add.reduceat(gradients * weights[s][:, None, None, None], starts, axis=0)
    return total


def smooth_gradient(
    probe: Probe,
    x: Floats,
    targets: Classes,
    *,
    copies: int = COPIES,
    noise: float = NOISE,
    seed: int = 0,
) -> Floats:
    """1/n Σ_s ∂y/∂x at x + σ ε_s, with ε_s of `unit_noise`.

    Args:
        probe: the inside of the network.
        x: inputs, N×C×H×W.
        targets: a class for each, N.
        copies: n, at least 1.
        noise: σ as a fraction of the range max x − min x of each image, 0 and more.
        seed: of ε.

    Returns:
        N×C×H×W.
    """
    # One draw for all images, in float64, so that the seed means the same in every number type.
    units = unit_noise(x.shape[1:], copies, seed=seed).astype(x.dtype)
    sigma = noise * np.ptp(x.reshape(len(x), -1), axis=1)[:, None, None, None] if len(x) else x

    def points(i: NDArray[np.int64], s: NDArray[np.int64]) -> Floats:
        return x[i] + sigma[i] * units[s]

    # Equal weights: the mean is the expectation over the noise.
    weights = np.full(copies, 1 / copies, x.dtype)
    return mean_gradient(probe, x, targets, weights=weights, points=points)


def unit_noise(shape: Sequence[int], copies: int, *, seed: int) -> NDArray[np.float64]:
    """Normal noise of variance 1, `copies`×C×H×W for images of `shape` C×H×W.

    All images share it, so that the map of an image does not depend on what is explained beside it.
    """
    return generator(seed, "smooth_grad").standard_normal((copies, *shape))


def batches(count: int, size: Sequence[int]) -> Iterator[slice]:
    """`count` images of `size` H×W, in slices that fit into one gradient.

    >>> list(batches(3, (400, 400)))
    [slice(0, 1, None), slice(1, 2, None), slice(2, 3, None)]
    """
    height, width = size
    most = max(1, min(MOST_IMAGES, MOST_PIXELS // (height * width)))
    for start in range(0, count, most):
        yield slice(start, min(start + most, count))
