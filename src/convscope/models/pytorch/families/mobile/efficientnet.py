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
from convscope.models.pytorch.blocks import check_fraction, conv_norm
from convscope.models.pytorch.families.mobile.mobilenet_v2 import (
    TIMM,
    TORCHVISION,
    added_where_it_fits,
    inverted_residual,
)
from convscope.models.pytorch.families.residual.attention import SqueezeExcite
from convscope.models.pytorch.heads import average_head
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

Layer = Callable[..., nn.Module]


class Row(NamedTuple):
    """A stage: are its blocks fused, their expansion, kernel, maps, number, and the first one's stride."""

    fused: bool
    expansion: int
    kernel: int
    outputs: int
    blocks: int
    stride: int


# Table 1 of the first paper (arXiv 1905.11946), table 4 of the second (arXiv 2104.00298).
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
    """Inverted residual, its gate a quarter of `inputs`; N×inputs×H×W → N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
    # The gate is squeezed from the narrow maps and not from the wide ones, as in the authors' code.
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
    """Expand k×k → project 1×1, without expansion k×k; N×inputs×H×W → N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if row.expansion == 1:
        parts["fused"] = layer(inputs, row.outputs, row.kernel, stride=stride)
    else:
        parts["fused"] = layer(inputs, row.expansion * inputs, row.kernel, stride=stride)
        parts["project"] = layer(row.expansion * inputs, row.outputs, 1, activation=None)
    return added_where_it_fits(parts, same=stride == 1 and inputs == row.outputs, drop=drop)


def build(spec: ModelSpec, *, version: str, dropout: float, stochastic_depth: float) -> Network:
    """A 3×3 stem, the stages of `version`, 1×1 to 1,280 maps, average, dropout, linear; N×C×H×W → N×K.

    The fraction of images for which block i of L is left out is `stochastic_depth` · i / L.
    """
    if version not in STAGES:
        raise unknown_name("version of efficientnet", version, STAGES)
    # Checked here, since the first block's rate is 0 and would let a wrong one pass.
    check_fraction("stochastic_depth", stochastic_depth)
    layer = partial(conv_norm, activation=nn.SiLU, norm=partial(nn.BatchNorm2d, eps=EPS[version]))
    inputs = STEM[version]
    stages: dict[str, nn.Module] = {"stem": layer(spec.input_shape[0], inputs, stride=1 if spec.small else 2)}
    made, total = 0, sum(row.blocks for row in STAGES[version])
    for number, row in enumerate(STAGES[version], 1):
        blocks: list[nn.Module] = []
        for index in range(row.blocks):
            stride = row.stride if index == 0 and not (spec.small and number == 2) else 1
            make = fused_mbconv if row.fused else mbconv
            blocks.append(make(inputs, row, stride=stride, layer=layer, drop=stochastic_depth * made / total))
            inputs, made = row.outputs, made + 1
        stages[f"stage{number}"] = nn.Sequential(*blocks)
    # In both versions 1,280, whatever the last stage has.
    stages["last"] = layer(inputs, 1280, 1)
    return Network(spec, stages, average_head(spec.classes, dropout=dropout))


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
