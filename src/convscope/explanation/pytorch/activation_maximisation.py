"""Activation maximisation: an image made from noise that activates a channel as much as it can.

Climbing the gradient over pixels ends in noise that only this network understands. Three things make the
result readable (Olah, Mordvintsev & Schubert, Feature Visualization, 2017, doi 10.23915/distill.00007):

* the steps change the frequencies of its Fourier transform, low ones scaled up as in photographs, and colours
  of which brightness is one; a sigmoid keeps every pixel between black and white;
* before each pass the image is turned, scaled and shifted a little, so that only what survives this counts;
* total variation, Σ|x_i − x_j| over neighbours (Mahendran & Vedaldi 2015, arXiv 1412.0035), and the distance
  from the mean colour are charged against it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from convscope.core.run.progress import Progress
from convscope.core.seeds import generator
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.feature_visualisation.visualiser import Channel
from convscope.explanation.probe import Floats
from convscope.explanation.pytorch.capture import watching
from convscope.models.pytorch.hooks import eval_mode

PHOTOGRAPH = 96 * 96
SMALL_STEPS, LARGE_STEPS = (256, 0.05), (64, 0.1)
"""Steps and Adam's rate, for images of up to 96×96 pixels and for larger ones, of which a step costs a third
of a second. A rate of 0.1 leaves small images harsh, 64 steps at 0.05 leave large ones pale."""
FALL = 1.25
"""The amplitude of frequency f is scaled by f^−1.25; 1 as in photographs is rougher, 1.5 loses detail."""
TURN, ZOOM, SHIFT = math.radians(10), 0.1, 0.08
"""At most so far each way: radians, a fraction of the size, a fraction of the side."""
VARIATION, PALE = 2.0, 0.5
"""Weights of total variation (mean |difference| of neighbours) and of the mean squared distance."""

# Brightness, red against blue, green against both, each as (R, G, B); their lengths fall as in photographs.
COLOURS = ((0.67, 0.67, 0.67), (0.24, 0.0, -0.24), (0.07, -0.14, 0.07))


def maximise(
    network: nn.Module,
    channels: Sequence[Channel],
    preprocess: Preprocess,
    *,
    like: Tensor,
    steps: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Floats:
    """One image for each channel. The same seed gives the same images.

    A feature map is raised everywhere: the mean over its positions grows. The objective is log-like, a / |a|
    for the activation a, so that the regularisation weighs the same in every network. All U images climb at
    once, as a batch.

    Args:
        network: any module that takes N×C×H×W; it stays as it is.
        channels: U of them.
        preprocess: gives the size and the statistics of the images.
        like: a tensor whose number type and device the network has.
        steps: of Adam; 256 for images of up to 96×96 pixels, 64 for larger ones by default.
        seed: of the noise that it starts from, and of the moves.
        progress: called with "maximise activations", the steps done, and all.

    Returns:
        Float U×H×W×C with values 0 to 1.

    Raises:
        UserError: a channel is not there.

    >>> from convscope.models.pytorch.zoo import create
    >>> net = create("small_cnn", input_shape=(1, 8, 8), classes=2)
    >>> channels = [Channel("stage2", 3, ""), Channel(None, 1, "dog")]
    >>> maximise(net, channels, Preprocess(1, 8, 8), like=torch.zeros(1), steps=2).shape
    (2, 8, 8, 1)
    """
    height, width = preprocess.shape[:2]
    if not channels:
        return np.zeros((0, *preprocess.shape))
    usual, rate = SMALL_STEPS if height * width <= PHOTOGRAPH else LARGE_STEPS
    steps = usual if steps is None else steps
    canvas = _Canvas(preprocess, len(channels), seed, like)
    optimizer = torch.optim.Adam([canvas.spectrum], lr=rate, betas=(0.9, 0.9))
    # Moves and start are drawn apart, so another number of steps leaves the start as it is.
    draw = generator(seed, "maximise", "transformations")
    with eval_mode(network), torch.enable_grad():
        for step in range(steps):
            images = canvas.images()
            seen = canvas.normalised(moved(images, draw.uniform(-1, 1, (len(channels), 4))))
            activations = channel_activations(network, seen, channels)
            own = torch.stack([of_all[row].mean() for row, of_all in enumerate(activations)])
            # Its gradient is that of log |a|: as strong for an activation of 0.01 as for one of 100.
            gain = (own / own.detach().abs().clamp(min=1e-6)).sum()
            loss = canvas.charge(images) - gain
            (canvas.spectrum.grad,) = torch.autograd.grad(loss, [canvas.spectrum])
            optimizer.step()
            if progress:
                progress("maximise activations", step + 1, steps)
    shown: Floats = canvas.images().detach().permute(0, 2, 3, 1).cpu().numpy()
    return shown


def channel_activations(network: nn.Module, x: Tensor, channels: Sequence[Channel]) -> list[Tensor]:
    """What each channel gives for images N×C×H×W: a map N×h×w, of a logit N×1×1. Gradients flow where on."""
    layers = dict.fromkeys(channel.layer for channel in channels if channel.layer is not None)
    with watching(network, layers) as watched:
        logits: Tensor = network(x)
    return [channel.of(watched.feature_maps, logits) for channel in channels]


class _Canvas:
    """U images as frequencies: Adam changes `spectrum`, real and imaginary parts U×C×H×(W//2+1)×2."""

    def __init__(self, preprocess: Preprocess, count: int, seed: int, like: Tensor) -> None:
        height, width, channels = preprocess.shape
        self.size = (height, width)

        def tensor(values: object) -> Tensor:
            return torch.as_tensor(np.asarray(values), dtype=like.dtype, device=like.device)

        shape = (count, channels, height, width // 2 + 1, 2)
        noise = generator(seed, "maximise", "start").normal(0, 0.1, shape)
        self.spectrum = tensor(noise).requires_grad_()
        self.scale = tensor(amplitudes(height, width))
        self.mean, self.std = (tensor(each).view(1, -1, 1, 1) for each in (preprocess.mean, preprocess.std))
        self.mix = tensor(COLOURS).T if channels == 3 else tensor([[1.0]])

    def images(self) -> Tensor:
        """U×C×H×W, 0 to 1."""
        # Adam takes steps of one size in every frequency, so the scale makes low ones move further.
        waves = torch.view_as_complex(self.spectrum) * self.scale
        colours = torch.fft.irfft2(waves, s=self.size, norm="ortho")
        pixels = torch.einsum("cd,ndhw->nchw", self.mix, colours)
        return torch.sigmoid(pixels + torch.logit(self.mean.clamp(0.02, 0.98)))

    def normalised(self, images: Tensor) -> Tensor:
        """As the network takes them."""
        return (images - self.mean) / self.std

    def charge(self, images: Tensor) -> Tensor:
        """Total variation and distance from the mean colour, summed over the images."""
        across, down = images.diff(dim=3).abs(), images.diff(dim=2).abs()
        variation = sum(each.mean((1, 2, 3)).sum() for each in (across, down) if each.numel())
        return VARIATION * variation + PALE * ((images - self.mean) ** 2).mean((1, 2, 3)).sum()


def amplitudes(height: int, width: int) -> NDArray[np.float64]:
    """f^−1.25 for each frequency f of a real picture, H×(W//2+1), scaled so that white noise keeps its power.

    >>> bool(amplitudes(8, 8)[0, 1] > amplitudes(8, 8)[0, 4])
    True
    """
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    # The mean has frequency 0; it is scaled like the lowest wave.
    scale = np.maximum(frequency, 1 / max(height, width)) ** -FALL
    found: NDArray[np.float64] = scale * math.sqrt(height * width) / np.linalg.norm(scale)
    return found


def moved(images: Tensor, draw: NDArray[np.float64]) -> Tensor:
    """Images N×C×H×W turned, zoomed and shifted by N×4 numbers −1 to 1; beyond the border they are mirrored.

    >>> moved(torch.ones(1, 1, 4, 4), np.zeros((1, 4))).mean().item()
    1.0
    """
    # Numbers −1 to 1 scaled here, so that what is drawn does not depend on the limits.
    turn, zoom = TURN * draw[:, 0], 1 + ZOOM * draw[:, 1]
    shift = 2 * SHIFT * draw[:, 2:]  # the whole side is 2 in the units of affine_grid
    rows = [[np.cos(turn) * zoom, -np.sin(turn) * zoom, shift[:, 0]],
            [np.sin(turn) * zoom, np.cos(turn) * zoom, shift[:, 1]]]  # fmt: skip
    theta = torch.as_tensor(np.array(rows).transpose(2, 0, 1), dtype=images.dtype, device=images.device)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    # Mirrored: a black border would be an edge that channels react to.
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
