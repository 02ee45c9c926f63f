"""Attention over maps: a network decides from its maps which of them to turn up or down.

Squeeze-and-excite (Hu, Shen & Sun, Squeeze-and-Excitation Networks, 2018) asks *which maps*: it sums each map
up by its mean, sends the means through two small layers, and multiplies each map with the number that comes
out for it. The convolutional block attention module, CBAM (Woo, Park, Lee & Kweon 2018), takes each map's
maximum, too, and asks *which positions* afterwards.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from convscope.models.pytorch.blocks import conv


class SqueezeExcite(nn.Module):
    """x · gate(W₂ act(W₁ s + b₁) + b₂) with s the mean of each map; N×C×H×W → N×C×H×W, C = `channels`.

    `squeezed` is how many numbers the first layer W₁ leaves, usually C/16 or C/4; fewer than C, so that maps
    have to be weighed against each other. `activation` and `gate` make the two functions; a gate goes from 0
    to 1. The layers are 1×1 convolutions on maps of one position, which is the same as linear layers.

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
        # Named as torchvision names them, so that its weights need no renames.
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


class ChannelGate(nn.Module):
    """x · σ(f(s) + f(m)) with s the mean and m the maximum of each map; N×C×H×W → N×C×H×W, C = `channels`.

    f(v) = W₂ relu(W₁ v + b₁) + b₂ has one set of weights for both, and `squeezed` numbers in its middle.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.maxpool = nn.AdaptiveMaxPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.activation = nn.ReLU()
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×C×H×W, each times its number."""
        # One set of weights for both summaries (equation 2 of arXiv 1807.06521).
        votes = [self.fc2(self.activation(self.fc1(pool(x)))) for pool in (self.avgpool, self.maxpool)]
        return x * torch.sigmoid(votes[0] + votes[1])


class SpatialGate(nn.Module):
    """x · σ(BN(conv7×7([mean; maximum]))), both taken over the maps at each position; N×C×H×W → N×C×H×W."""

    def __init__(self) -> None:
        super().__init__()
        # 7×7 was best of 3 and 7 (table 2 of arXiv 1807.06521).
        self.conv = conv(2, 1, 7, bias=False)
        self.bn = nn.BatchNorm2d(1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×C×H×W, each position of all of them times its number."""
        overview = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.bn(self.conv(overview)))


class ChannelAndSpatialGate(nn.Sequential):
    """CBAM: first which maps, then which positions; N×C×H×W → N×C×H×W, C = `channels`.

    >>> ChannelAndSpatialGate(16, 4)(torch.ones(2, 16, 5, 5)).shape
    torch.Size([2, 16, 5, 5])
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.channel = ChannelGate(channels, squeezed)
        self.spatial = SpatialGate()
