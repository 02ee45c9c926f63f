"""VGG: nothing but 3×3 convolutions, and many of them (Simonyan & Zisserman 2014).

Two 3×3 convolutions see the same 5×5 pixels as one 5×5 convolution, three see 7×7, with fewer weights (27C²
against 49C²) and a ReLU behind each. So only one size of window is left to choose, and the question is
depth: 11, 13, 16 or 19 layers with weights, in five stages that halve the image and, up to 512 maps, double
the maps.

Nine weights in ten lie in the three dense layers; networks after this one take the mean of each map instead.
"""

from __future__ import annotations

from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import conv
from convscope.models.pytorch.heads import MakeHead
from convscope.models.pytorch.load_weights import cut
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec
from convscope.models.variants.early_imagenet import VGG

# Maps of each stage (table 1 of arXiv 1409.1556); after the fourth they are not doubled again.
WIDTHS = (64, 128, 256, 512, 512)
# Rows and columns of positions that the dense layers read; a larger last map is averaged down to them.
POSITIONS = 7


def stage(inputs: int, outputs: int, *, convolutions: int, norm: bool) -> list[nn.Module]:
    """3×3 convolutions with ReLU, with `norm` a batch norm between the two; N×inputs×H×W → N×outputs×H×W."""
    layers: list[nn.Module] = []
    for i in range(convolutions):
        # Published weights have a bias also where a norm makes it needless.
        layers.append(conv(outputs if i else inputs, outputs))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()] if norm else [nn.ReLU()]
    return layers


def dense_layers(classes: int) -> MakeHead:
    """The mean in at most 7×7 positions, two hidden layers of 4,096 before dropout, then K logits."""

    def make(c: int, h: int, w: int) -> nn.Module:
        positions = (min(h, POSITIONS), min(w, POSITIONS))
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(positions), nn.Flatten()]
        # 103 of VGG-16's 138 million weights are in the first of these.
        for numbers in (c * positions[0] * positions[1], 4096):
            layers += [nn.Linear(numbers, 4096), nn.ReLU(), nn.Dropout(0.5)]
        return nn.Sequential(*layers, nn.Linear(4096, classes))

    return make


def build(spec: ModelSpec, *, convolutions: tuple[int, ...], norm: bool) -> Network:
    """Five stages, each of some `convolutions` and a 2×2 pool, then dense layers; N×C×H×W → N×K."""
    if len(convolutions) != len(WIDTHS):
        raise UserError(
            f"convolutions is {list(convolutions)}; give one number for each of the {len(WIDTHS)} stages"
        )
    # Five pools would leave one position of an image of 32 pixels.
    pooled = 3 if spec.small else 5
    stages: dict[str, nn.Module] = {}
    inputs = spec.input_shape[0]
    for i, (width, count) in enumerate(zip(WIDTHS, convolutions, strict=True)):
        layers = stage(inputs, width, convolutions=count, norm=norm)
        # Rounding up leaves 4×4 positions of 28×28 pixels; where sides are even it changes nothing.
        pools = [nn.MaxPool2d(2, ceil_mode=spec.small)] if i < pooled else []
        stages[f"stage{i + 1}"] = nn.Sequential(*layers, *pools)
        inputs = width
    return Network(spec, stages, dense_layers(spec.classes))


def _renames(spec: ModelSpec) -> tuple[tuple[str, str], ...]:
    layers = 3 if spec.options["norm"] else 2
    convolutions = spec.options["convolutions"]
    assert isinstance(convolutions, tuple)
    lengths = {f"stage{i}": layers * count + 1 for i, count in enumerate(convolutions, 1)}
    dense = tuple((rf"^classifier\.{theirs}", f"head.{theirs + 2}") for theirs in (0, 3, 6))
    return *cut("features", lengths), *dense


KEY_MAPS = {f"torchvision, {spec.name}": _renames(spec) for spec in VGG}
