"""Activation maximisation: an image made from noise that excites a unit as much as it can.

Climbing the gradient over pixels ends in noise that only this network understands. Three things make the
result readable (Olah, Mordvintsev & Schubert, Feature Visualization, 2017, doi 10.23915/distill.00007):

* the image is climbed in the frequencies of its Fourier transform, low ones scaled up as in photographs, and in colours
  of which brightness is one; a sigmoid keeps every pixel between black and white;
* before each look the image is turned, scaled and shifted a little, so that only what survives this is worth having;
* total variation, Σ|x_i − x_j| over neighbours (Mahendran & Vedaldi 2015, arXiv 1412.0035), and the distance from the
  mean colour are charged against it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from convscope.core.contracts import Progress
from convscope.core.seeds import generator
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.channel import Unit, activations
from convscope.models.pytorch.shapes import eval_mode

PHOTOGRAPH = 96 * 96
SMALL_STEPS, LARGE_STEPS = (256, 0.05), (64, 0.1)
"""Steps and Adam's rate, for images of up to 96×96 pixels and for larger ones, of which a step costs a third
of a second. A rate of 0.1 leaves small images harsh, 64 steps at 0.05 leave large ones pale."""
FALL = 1.25
"""The amplitude of frequency f is scaled by f^−1.25; 1 as in photographs is rougher, 1.5 loses detail."""
TURN, ZOOM, SHIFT = math.radians(10), 0.1, 0.08
"""At most so far each way: radians, a share of the size, a share of the side."""
VARIATION, PALE = 2.0, 0.5
"""The weights of total variation (mean |difference| of neighbours) and of the mean squared distance from the
mean.
"""

# Brightness, red against blue and green against both, each as (R, G, B); the lengths fall as they do in
# photographs.
COLOURS = ((0.67, 0.67, 0.67), (0.24, 0.0, -0.24), (0.07, -0.14, 0.07))


def maximise(
    explained_model: ExplainedModel,
    units: Sequence[Unit],
    *,
    steps: int | None = None,
    seed: int = 0,
    tell: Progress | None = None,
) -> NDArray[np.floating[Any]]:
    """One image for each unit, float U×H×W×C with values 0 to 1. The same seed gives the same images.

    A map is excited everywhere: its mean over places grows. The objective is log-like, a / |a| for the
    activation a, so that the regularisation weighs the same in every network. All U images climb at once, a
    batch.

    >>> from convscope.data.preparing.preprocess import Preprocess
    >>> from convscope.models.pytorch.predictor import TorchPredictor
    >>> from convscope.models.pytorch.zoo import create
    >>> net = create("small_cnn", input_shape=(1, 8, 8), classes=2)
    >>> explained_model = ExplainedModel.of(TorchPredictor(net, Preprocess(1, 8, 8), ("cat", "dog")))
    >>> maximise(explained_model, [Unit("stage2", 3, ""), Unit(None, 1, "dog")], steps=2).shape
    (2, 8, 8, 1)
    """
    network = explained_model.torch_network()
    height, width = explained_model.preprocess.shape[:2]
    if not units:
        return np.zeros((0, *explained_model.preprocess.shape))
    usual, rate = SMALL_STEPS if height * width <= PHOTOGRAPH else LARGE_STEPS
    steps = usual if steps is None else steps
    canvas = _Canvas(explained_model, len(units), seed)
    climber = torch.optim.Adam([canvas.spectrum], lr=rate, betas=(0.9, 0.9))
    draw = generator(seed, "maximise", "transformations")
    with eval_mode(network), torch.enable_grad():
        for step in range(steps):
            images = canvas.images()
            seen = canvas.normalised(moved(images, draw.uniform(-1, 1, (len(units), 4))))
            found = activations(network, seen, units)
            excited = torch.stack([of_all[row].mean() for row, of_all in enumerate(found)])
            gain = (excited / excited.detach().abs().clamp(min=1e-6)).sum()
            loss = canvas.charge(images) - gain
            (canvas.spectrum.grad,) = torch.autograd.grad(loss, [canvas.spectrum])
            climber.step()
            if tell:
                tell(step + 1, steps)
    shown: NDArray[np.floating[Any]] = canvas.images().detach().permute(0, 2, 3, 1).cpu().numpy()
    return shown


class _Canvas:
    """U images as frequencies: `spectrum` U×C×H×(W//2+1)×2 holds the real and imaginary parts that are
    climbed.
    """

    def __init__(self, explained_model: ExplainedModel, count: int, seed: int) -> None:
        prepare = explained_model.preprocess
        height, width, channels = prepare.shape
        like = explained_model.inputs(np.zeros((1, height, width, channels), np.uint8))
        self.size = (height, width)

        def tensor(values: object) -> Tensor:
            return torch.as_tensor(np.asarray(values), dtype=like.dtype, device=like.device)

        noise = generator(seed, "maximise", "start").normal(
            0, 0.1, (count, channels, height, width // 2 + 1, 2)
        )
        self.spectrum = tensor(noise).requires_grad_()
        self.scale = tensor(amplitudes(height, width))
        self.mean, self.std = (tensor(each).view(1, -1, 1, 1) for each in (prepare.mean, prepare.std))
        self.mix = tensor(COLOURS).T if channels == 3 else tensor([[1.0]])

    def images(self) -> Tensor:
        """U×C×H×W, 0 to 1."""
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
    scale = np.maximum(frequency, 1 / max(height, width)) ** -FALL
    found: NDArray[np.float64] = scale * math.sqrt(height * width) / np.linalg.norm(scale)
    return found


def moved(images: Tensor, draw: NDArray[np.float64]) -> Tensor:
    """Images N×C×H×W turned, zoomed and shifted by N×4 numbers between −1 and 1; beyond the border they are
    mirrored.

    >>> moved(torch.ones(1, 1, 4, 4), np.zeros((1, 4))).mean().item()
    1.0
    """
    turn, zoom = TURN * draw[:, 0], 1 + ZOOM * draw[:, 1]
    shift = 2 * SHIFT * draw[:, 2:]  # the whole side is 2 in the units of affine_grid
    rows = [[np.cos(turn) * zoom, -np.sin(turn) * zoom, shift[:, 0]],
            [np.sin(turn) * zoom, np.cos(turn) * zoom, shift[:, 1]]]  # fmt: skip
    theta = torch.as_tensor(np.array(rows).transpose(2, 0, 1), dtype=images.dtype, device=images.device)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)
