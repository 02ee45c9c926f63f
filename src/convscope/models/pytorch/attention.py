"""Attention over maps: a network looks at what it has found so far and decides which maps to turn up or down.

Squeeze-and-excite (Hu, Shen & Sun, Squeeze-and-Excitation Networks, 2018) sums each map up by its mean, sends the means
through two small layers, and multiplies each map with the number that comes out for it.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class SqueezeExcite(nn.Module):
    """x · gate(W₂ act(W₁ s + b₁) + b₂) with s the mean of each map; N×C×H×W → N×C×H×W, C = `channels`.

    `squeezed` is how many numbers the first layer W₁ leaves, usually C/16 or C/4; fewer than C, so that maps have to be
    weighed against each other. `activation` and `gate` make the two functions; a gate goes from 0 to 1. The layers are
    1×1 convolutions on maps of one place, which is the same as linear layers.

    >>> import torch
    >>> SqueezeExcite(16, 4)(torch.ones(2, 16, 5, 5)).shape
    torch.Size([2, 16, 5, 5])
    """

    def __init__(
        self,
        channels: int,
        squeezed: int,
        *,
        activation: Callable[[], nn.Module] = nn.ReLU,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.activation = activation()
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.scale_activation = gate()

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×C×H×W, each times its number."""
        squeezed = self.activation(self.fc1(self.avgpool(x)))
        scale: Tensor = self.scale_activation(self.fc2(squeezed))
        return x * scale
