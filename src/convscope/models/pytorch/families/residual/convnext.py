"""ConvNeXt: a ResNet brought up to the habits of vision transformers, step by step (Liu et al. 2022).

Were transformers better than convolutional networks, or only better trained and tuned? The paper takes a
ResNet-50 and adopts one habit after another, measuring each: a stem that cuts the image into patches of 4×4,
stages of 3, 3, 9 and 3 blocks, depthwise convolutions, blocks that are narrow outside and wide inside, 7×7
kernels, GELU, fewer activations and norms, layer norm over the maps of a place in place of batch norm, and a
layer of its own for halving. What results is all convolution and as accurate as the transformers of its day.

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
from convscope.models.pytorch.blocks import MakeHead, Residual, check_share, conv
from convscope.models.pytorch.families.residual.stochastic_depth import StochasticDepth
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

EPS = 1e-6  # of layer norm, and what layer scale starts from


class ChannelNorm(nn.LayerNorm):
    """(x − mean) / √(variance + ε) · weight + bias, over the C numbers of each place (Ba et al. 2016);
    N×C×H×W → same.

    >>> ChannelNorm(2, eps=0.0)(torch.tensor([1.0, 3.0]).view(1, 2, 1, 1)).flatten().tolist()
    [-1.0, 1.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×C×H×W to maps N×C×H×W; nothing is copied where channels lie last."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class LayerScale(nn.Module):
    """Each map times a number of its own that is learned, from `EPS` on (Touvron et al. 2021); N×C×H×W →
    N×C×H×W.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((maps, 1, 1), EPS))

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×C×H×W, each times its number."""
        return x * self.weight


def block(maps: int, *, drop: float) -> nn.Sequential:
    """Depthwise 7×7 → norm → 1×1 to 4C → GELU → 1×1 to C → scale, added to x; N×C×H×W → N×C×H×W, C =
    `maps`.
    """
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
    """A patch stem and a stage of `blocks[i]` blocks with `channels[i]` maps for each i, then the head;
    N×C×H×W → N×K.

    The share of images for which the last block is left out is `stochastic_depth`; it rises evenly from 0 at
    the first.
    """
    if len(channels) != len(blocks):
        raise UserError(
            f"channels {list(channels)} and blocks {list(blocks)} differ in number; give one each a stage"
        )
    check_share("stochastic_depth", stochastic_depth)
    stride, border = (1, 4) if spec.small else (4, 0)
    stem = nn.Conv2d(spec.input_shape[0], channels[0], 4, stride=stride, padding=border)
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(stem, ChannelNorm(channels[0], eps=EPS))}
    last = max(1, sum(blocks) - 1)
    rates = (stochastic_depth * place / last for place in count())
    inputs = channels[0]
    for number, (maps, length) in enumerate(zip(channels, blocks, strict=True), 1):
        parts: dict[str, nn.Module] = {} if number == 1 else {"halve": halve(inputs, maps)}
        parts["blocks"] = nn.Sequential(*(block(maps, drop=next(rates)) for _ in range(length)))
        stages[f"stage{number}"] = nn.Sequential(OrderedDict(parts))
        inputs = maps
    return Network(spec, stages, normed_head(spec.classes))


VARIANTS = (
    ModelSpec(
        "convnext_tiny",
        title="ConvNeXt-T",
        year=2022,
        paper="Liu et al., A ConvNet for the 2020s, 2022",
        idea="a ResNet brought up to the habits of transformers: patches, 7×7 depthwise kernels, layer "
        "norm, GELU",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"channels": (96, 192, 384, 768), "blocks": (3, 3, 9, 3), "stochastic_depth": 0.1},
        parameters=28_589_128,
        macs=4_455_531_264,
        receptive_field=1688,
        published_parameters=29e6,
        published_macs=4.5e9,
        published_in="table 1",
        small_form="4×4 stem without stride on a border of 4 pixels: a place stands for 8 pixels instead of "
        "32",
    ),
)

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
