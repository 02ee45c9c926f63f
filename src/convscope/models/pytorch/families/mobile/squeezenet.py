"""SqueezeNet: the accuracy of AlexNet with a fiftieth of its weights (Iandola et al. 2016).

Most weights of a network are 3×3 kernels between many maps and many maps, and dense layers behind them. A
fire module first squeezes its input into few maps with 1×1 kernels, and only these few meet 3×3 kernels; half
of what it gives comes from 1×1 kernels altogether. The network pools late, so that its maps stay large, and
has no dense layer: a last 1×1 convolution makes one map a class, and the mean of a map is the logit.

Fire module i (from 0) squeezes to 16(⌊i/2⌋ + 1) maps and expands to eight times as many. Version 1.1, which
the authors put beside the paper, has a smaller stem and pools earlier: the same accuracy for less than half
of the work.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convscope.models.pytorch.heads import MakeHead
from convscope.models.pytorch.load_weights import cut
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


class Fire(nn.Module):
    """s = relu(1×1 conv(x)), then relu(1×1 conv(s)) beside relu(3×3 conv(s)); N×C×H×W → N×2·expand×H×W."""

    def __init__(self, inputs: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×inputs×H×W to maps N×2·expand×H×W."""
        squeezed = F.relu(self.squeeze(x))
        return F.relu(torch.cat([self.expand1x1(squeezed), self.expand3x3(squeezed)], 1))


def halve() -> nn.Module:
    """The maximum of 3×3 windows, two pixels apart, the last one cut off; N×C×H×W → N×C×⌈(H−1)/2⌉×…."""
    return nn.MaxPool2d(3, stride=2, ceil_mode=True)


def map_a_class(classes: int) -> MakeHead:
    """The authors' head: dropout, one map a class, ReLU, the mean of each map; no logit is below 0."""
    return lambda c, _h, _w: nn.Sequential(
        nn.Dropout(0.5), nn.Conv2d(c, classes, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def build(spec: ModelSpec, *, stem: int, stem_kernel: int, fires: tuple[int, ...]) -> Network:
    """A stem of `stem` maps, then a stage for each number of `fires`, pools between them; N×C×H×W → N×K."""
    first = nn.Conv2d(spec.input_shape[0], stem, stem_kernel, stride=1 if spec.small else 2)
    stages: dict[str, nn.Module] = {
        "stem": nn.Sequential(first, nn.ReLU(), *([] if spec.small else [halve()]))
    }
    inputs = stem
    for stage, (start, end) in enumerate(pairwise((0, *accumulate(fires))), 1):
        # The stem has pooled already.
        layers = [] if stage == 1 else [halve()]
        for i in range(start, end):
            width = i // 2 + 1  # two modules of each width (table 1 of arXiv 1602.07360)
            layers.append(Fire(inputs, 16 * width, 64 * width))
            inputs = 128 * width
        stages[f"stage{stage}"] = nn.Sequential(*layers)
    return Network(spec, stages, map_a_class(spec.classes))


KEY_MAPS = {
    "torchvision": (
        *cut("features", {"stem": 3, "stage1": 3, "stage2": 5, "stage3": 2}),
        (r"^classifier", "head"),
    ),
    "torchvision, version 1.1": (
        *cut("features", {"stem": 3, "stage1": 2, "stage2": 3, "stage3": 5}),
        (r"^classifier", "head"),
    ),
}
