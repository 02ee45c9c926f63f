"""ConvNeXt: a ResNet brought up to the habits of vision transformers, step by step (Liu et al. 2022).

Were transformers better than convolutional networks, or only better trained and tuned? The paper takes a
ResNet-50 and adopts one habit after another, measuring each: a stem that cuts the image into patches of 4×4,
stages of 3, 3, 9 and 3 blocks, depthwise convolutions, blocks that are narrow outside and wide inside, 7×7
kernels, GELU, fewer activations and norms, layer norm over the maps of a position in place of batch norm, and
a layer of its own for halving. What results is all convolution and as accurate as the transformers of its
day.

What a block adds starts at a millionth (layer scale), so that the network begins as a shallow one, and is
left out at random in training. The linear layers of the authors' code are 1×1 convolutions here, which hold
the same numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import count

import torch
from torch import Tensor, nn

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import Residual, StochasticDepth, check_fraction, conv
from convscope.models.pytorch.heads import MakeHead
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

EPS = 1e-6  # of layer norm, and where layer scale starts (Touvron et al. 2021, arXiv 2103.17239)


class ChannelNorm(nn.LayerNorm):
    """(x − mean) / √(variance + ε) · weight + bias, over the C numbers of a position; N×C×H×W → N×C×H×W.

    >>> ChannelNorm(2, eps=0.0)(torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)).flatten().tolist()
    [-1.0, 1.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×C×H×W to maps N×C×H×W; nothing is copied where channels lie last."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class LayerScale(nn.Module):
    """Each map times a number of its own that is learned, at first `EPS`; N×C×H×W → N×C×H×W."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((maps, 1, 1), EPS))

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×C×H×W, each times its number."""
        return x * self.weight


def block(maps: int, *, drop: float) -> nn.Sequential:
    """Depthwise 7×7 → norm → 1×1 to 4C → GELU → 1×1 to C → scale, added to x; N×C×H×W → N×C×H×W."""
    # Figure 4 of arXiv 2201.03545: one norm and one activation a block.
    parts: dict[str, nn.Module] = {
        "depthwise": conv(maps, maps, 7, groups=maps),
        "norm": ChannelNorm(maps, eps=EPS),
        "expand": conv(maps, 4 * maps, 1),
        "activation": nn.GELU(),
        "project": conv(4 * maps, maps, 1),
        "scale": LayerScale(maps),
        "drop": StochasticDepth(drop),
    }
    return Residual(OrderedDict(parts))


def halve(inputs: int, outputs: int) -> nn.Sequential:
    """Norm, then a 2×2 convolution with stride 2; N×inputs×H×W → N×outputs×⌊H/2⌋×⌊W/2⌋."""
    return nn.Sequential(ChannelNorm(inputs, eps=EPS), nn.Conv2d(inputs, outputs, 2, stride=2))


def normed_head(classes: int) -> MakeHead:
    """The mean of each map, layer norm, linear: made for maps C×H×W, gives N×K."""
    return lambda c, _h, _w: nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(c, eps=EPS), nn.Linear(c, classes)
    )


def build(
    spec: ModelSpec, *, channels: tuple[int, ...], blocks: tuple[int, ...], stochastic_depth: float
) -> Network:
    """A patch stem, a stage of `blocks[i]` blocks with `channels[i]` maps for each i, head; N×C×H×W → N×K.

    The fraction of images for which the last block is left out is `stochastic_depth`; it rises evenly from 0
    at the first.
    """
    if len(channels) != len(blocks):
        raise UserError(
            f"channels {list(channels)} and blocks {list(blocks)} differ in number; give one each a stage"
        )
    check_fraction("stochastic_depth", stochastic_depth)
    # Patches of 4×4 would leave 1×1 of an image of 32 pixels after the last stage.
    stride, border = (1, 4) if spec.small else (4, 0)
    stem = nn.Conv2d(spec.input_shape[0], channels[0], 4, stride=stride, padding=border)
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(stem, ChannelNorm(channels[0], eps=EPS))}
    last = max(1, sum(blocks) - 1)  # one block alone has the rate 0
    rates = (stochastic_depth * i / last for i in count())
    inputs = channels[0]
    for number, (maps, length) in enumerate(zip(channels, blocks, strict=True), 1):
        parts: dict[str, nn.Module] = {} if number == 1 else {"halve": halve(inputs, maps)}
        parts["blocks"] = nn.Sequential(*(block(maps, drop=next(rates)) for _ in range(length)))
        stages[f"stage{number}"] = nn.Sequential(OrderedDict(parts))
        inputs = maps
    return Network(spec, stages, normed_head(spec.classes))


PARTS = (("0", "depthwise"), ("2", "norm"), ("3", "expand"), ("5", "project"))

KEY_MAPS = {
    "torchvision": (
        (r"^features\.0", "body.stem"),
        *((rf"^features\.{2 * i - 1}\.", f"body.stage{i}.blocks.") for i in (1, 2, 3, 4)),
        *((rf"^features\.{2 * i - 2}\.", f"body.stage{i}.halve.") for i in (2, 3, 4)),
        *((rf"block\.{number}", part) for number, part in PARTS),
        (r"layer_scale", "scale.weight"),
        (r"^classifier\.0", "head.2"),
        (r"^classifier\.2", "head.3"),
    ),
    "timm": (
        (r"^stem", "body.stem"),
        *((rf"^stages\.{i - 1}\.", f"body.stage{i}.") for i in (1, 2, 3, 4)),
        (r"downsample", "halve"),
        (r"conv_dw", "depthwise"),
        (r"mlp\.fc1", "expand"),
        (r"mlp\.fc2", "project"),
        (r"gamma", "scale.weight"),
        (r"^head\.norm", "head.2"),
        (r"^head\.fc", "head.3"),
    ),
}
