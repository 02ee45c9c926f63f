"""EfficientNet: networks that a search found for accuracy at little cost (Tan & Le 2019; V2, Tan & Le 2021).

Growing a network in depth, width or image size alone soon stops to pay; the first paper grows all three by
fixed ratios from one small network, B0. It is MobileNet V2's block with squeeze-and-excite in every one,
SiLU, x · sigmoid(x), in place of ReLU, and 5×5 kernels where the search wanted them.

V2 was searched for the time that training takes. Depthwise convolutions are few multiplications and much
memory traffic, and early, on large maps, they keep the hardware waiting. There V2 fuses a block's 1×1
expansion and depthwise 3×3 into one ordinary 3×3 convolution, with neither gate nor large kernels.

In training, blocks that add are left out at random, the deeper the more often (see `stochastic_depth`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from torch import nn

from convscope.core.errors import unknown_name
from convscope.models.pytorch.blocks import average_head, check_share, conv_norm
from convscope.models.pytorch.families.mobile.inverted_residual import (
    TIMM,
    TORCHVISION,
    added_where_it_fits,
    inverted_residual,
)
from convscope.models.pytorch.families.residual.attention import SqueezeExcite
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

Layer = Callable[..., nn.Module]


class Row(NamedTuple):
    """A stage: fused blocks or not, how much wider they are inside, kernel, maps, blocks, stride of the
    first.
    """

    fused: bool
    expansion: int
    kernel: int
    outputs: int
    blocks: int
    stride: int


# Table 1 of the first paper, table 4 of the second.
STAGES = {
    "b0": (
        Row(False, 1, 3, 16, 1, 1),
        Row(False, 6, 3, 24, 2, 2),
        Row(False, 6, 5, 40, 2, 2),
        Row(False, 6, 3, 80, 3, 2),
        Row(False, 6, 5, 112, 3, 1),
        Row(False, 6, 5, 192, 4, 2),
        Row(False, 6, 3, 320, 1, 1),
    ),
    "v2_s": (
        Row(True, 1, 3, 24, 2, 1),
        Row(True, 4, 3, 48, 4, 2),
        Row(True, 4, 3, 64, 4, 2),
        Row(False, 4, 3, 128, 6, 2),
        Row(False, 6, 3, 160, 9, 1),
        Row(False, 6, 3, 256, 15, 2),
    ),
}
# Maps of the stem, and the ε of batch norm that the trained weights need.
STEM, EPS = {"b0": 32, "v2_s": 24}, {"b0": 1e-5, "v2_s": 1e-3}


def mbconv(inputs: int, row: Row, *, stride: int, layer: Layer, drop: float) -> nn.Sequential:
    """An inverted residual with a gate of a quarter of `inputs`; N×inputs×H×W →
    N×outputs×⌈H/stride⌉×⌈W/stride⌉.
    """
    expanded = row.expansion * inputs
    return inverted_residual(
        inputs,
        expanded,
        row.outputs,
        layer=layer,
        kernel=row.kernel,
        stride=stride,
        squeeze=SqueezeExcite(expanded, inputs // 4, activation=nn.SiLU),
        drop=drop,
    )


def fused_mbconv(inputs: int, row: Row, *, stride: int, layer: Layer, drop: float) -> nn.Sequential:
    """Expand k×k → project 1×1, or without expansion k×k alone; N×inputs×H×W →
    N×outputs×⌈H/stride⌉×⌈W/stride⌉.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if row.expansion == 1:
        parts["fused"] = layer(inputs, row.outputs, row.kernel, stride=stride)
    else:
        parts["fused"] = layer(inputs, row.expansion * inputs, row.kernel, stride=stride)
        parts["project"] = layer(row.expansion * inputs, row.outputs, 1, activation=None)
    return added_where_it_fits(parts, same=stride == 1 and inputs == row.outputs, drop=drop)


def build(spec: ModelSpec, *, version: str, dropout: float, stochastic_depth: float) -> Network:
    """A 3×3 stem, the stages of `version`, 1×1 to 1,280 maps, average, dropout, linear; N×C×H×W → N×K.

    The share of images for which block i of L is left out is `stochastic_depth` · i / L.
    """
    if version not in STAGES:
        raise unknown_name("version of efficientnet", version, STAGES)
    check_share("stochastic_depth", stochastic_depth)
    layer = partial(conv_norm, activation=nn.SiLU, norm=partial(nn.BatchNorm2d, eps=EPS[version]))
    inputs = STEM[version]
    stages: dict[str, nn.Module] = {"stem": layer(spec.input_shape[0], inputs, stride=1 if spec.small else 2)}
    made, total = 0, sum(row.blocks for row in STAGES[version])
    for number, row in enumerate(STAGES[version], 1):
        blocks: list[nn.Module] = []
        for place in range(row.blocks):
            stride = row.stride if place == 0 and not (spec.small and number == 2) else 1
            make = fused_mbconv if row.fused else mbconv
            blocks.append(make(inputs, row, stride=stride, layer=layer, drop=stochastic_depth * made / total))
            inputs, made = row.outputs, made + 1
        stages[f"stage{number}"] = nn.Sequential(*blocks)
    stages["last"] = layer(inputs, 1280, 1)
    return Network(spec, stages, average_head(spec.classes, dropout=dropout))


SMALL_FORM = "stem and second stage without stride: a place stands for 8 pixels instead of 32"

VARIANTS = (
    ModelSpec(
        "efficientnet_b0",
        title="EfficientNet-B0",
        year=2019,
        paper="Tan & Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019",
        idea="a small network from a search, to be grown in depth, width and image size together",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"version": "b0", "dropout": 0.2, "stochastic_depth": 0.2},
        parameters=5_288_548,
        macs=385_814_752,
        receptive_field=851,
        published_parameters=5.3e6,
        published_macs=0.39e9,
        published_in="table 2",
        small_form=SMALL_FORM,
    ),
    ModelSpec(
        "efficientnet_v2_s",
        title="EfficientNetV2-S",
        year=2021,
        paper="Tan & Le, EfficientNetV2: Smaller Models and Faster Training, 2021",
        idea="found for the time that training takes: ordinary convolutions early, depthwise ones late",
        input_shape=(3, 384, 384),
        classes=1000,
        options={"version": "v2_s", "dropout": 0.2, "stochastic_depth": 0.2},
        parameters=21_458_488,
        macs=8_365_617_152,
        receptive_field=1487,
        published_parameters=21.5e6,
        published_macs=8.4e9,
        published_in="the authors' repository",
        small_form=SMALL_FORM,
    ),
)

KEY_MAPS = {
    "torchvision": (
        (r"^features\.0", "body.stem"),
        (r"^features\.8", "body.last"),
        (r"^features\.(\d)", r"body.stage\1"),
        *TORCHVISION,
        (r"^classifier\.1", "head.3"),
    ),
    "torchvision, V2": (
        (r"^features\.0", "body.stem"),
        (r"^features\.7", "body.last"),
        (r"^features\.(\d)", r"body.stage\1"),
        (r"^(body\.stage[123]\.\d)\.block\.0", r"\1.fused"),
        (r"^(body\.stage[23]\.\d)\.block\.1", r"\1.project"),
        *TORCHVISION,
        (r"^classifier\.1", "head.3"),
    ),
    "timm": TIMM,
}
