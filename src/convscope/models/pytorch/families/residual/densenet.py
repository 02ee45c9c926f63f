"""DenseNet: every layer sees the maps of all layers before it (Huang, Liu, van der Maaten & Weinberger 2016).

A ResNet adds what a layer gives to what it got; here it is put beside it, so nothing is overwritten and
each layer only has to add a few new maps, k = 32 or 48. That few weights suffice the authors put down to
this: nothing has to be learned twice. Gradients reach every layer by a short way, too. Before its 3×3
convolution a layer brings the maps it sees down to 4k with a 1×1 convolution; between two blocks a transition
halves the number of maps and the image (the paper's DenseNet-BC).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from convscope.models.pytorch.heads import average_head
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


def norm_relu_conv(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """Batch norm → ReLU → convolution of odd `kernel`; N×inputs×H×W → N×outputs×H×W."""
    return [
        *(nn.BatchNorm2d(inputs), nn.ReLU()),
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
    ]


class DenseLayer(nn.Sequential):
    """x, and beside it `growth` new maps made of all of x; N×inputs×H×W → N×(inputs + growth)×H×W."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__(*norm_relu_conv(inputs, 4 * growth, 1), *norm_relu_conv(4 * growth, growth, 3))

    def forward(self, x: Tensor) -> Tensor:
        """What came in, and behind it the new maps."""
        new: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        # Each layer copies all maps before it: memory grows with the square of the depth.
        return torch.cat([x, new], 1)


def dense_block(inputs: int, growth: int, layers: int) -> nn.Sequential:
    """`layers` dense layers one behind the other; N×inputs×H×W → N×(inputs + layers·growth)×H×W."""
    return nn.Sequential(
        OrderedDict((f"layer{i + 1}", DenseLayer(inputs + i * growth, growth)) for i in range(layers))
    )


def build(spec: ModelSpec, *, growth: int, blocks: tuple[int, ...]) -> Network:
    """A stem, a stage for each of `blocks` with that many layers, and the mean of each map; N×C×H×W → N×K."""
    maps = 2 * growth
    first = nn.Conv2d(spec.input_shape[0], maps, 7, stride=1 if spec.small else 2, padding=3, bias=False)
    pool = [] if spec.small else [nn.MaxPool2d(3, stride=2, padding=1)]
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(first, nn.BatchNorm2d(maps), nn.ReLU(), *pool)}
    for i, layers in enumerate(blocks):
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if i > 0:
            # Rounding up leaves 4×4 positions of 28×28 pixels; where sides are even it changes nothing.
            halve = nn.AvgPool2d(2, ceil_mode=spec.small)
            parts["transition"] = nn.Sequential(*norm_relu_conv(maps, maps // 2, 1), halve)
            maps //= 2  # a compression of one half (section 3 of arXiv 1608.06993)
        parts["block"] = dense_block(maps, growth, layers)
        maps += layers * growth
        stages[f"stage{i + 1}"] = nn.Sequential(parts)
    # Layers norm what they read, so what the last one gives has not been normed.
    stages["last"] = nn.Sequential(nn.BatchNorm2d(maps), nn.ReLU())
    return Network(spec, stages, average_head(spec.classes))


KEY_MAPS = {
    "torchvision": (
        *((r"^features\.conv0", "body.stem.0"), (r"^features\.norm0", "body.stem.1")),
        (r"^features\.denseblock(\d)\.denselayer", r"body.stage\1.block.layer"),
        *((rf"^features\.transition{i}", f"body.stage{i + 1}.transition") for i in (1, 2, 3)),
        *((r"^features\.norm5", "body.last.0"), (r"^classifier", "head.2")),
        *((r"\.norm1?\.", ".0."), (r"\.conv1?\.", ".2."), (r"\.norm2\.", ".3."), (r"\.conv2\.", ".5.")),
    )
}
