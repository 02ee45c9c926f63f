"""MobileNet V2: blocks that are narrow outside and wide inside (Sandler, Howard, Zhu, Zhmoginov & Chen 2018).

V1 mixes many maps into many maps at every layer. V2 passes few maps from block to block, widens them sixfold
inside, where depthwise convolutions make width cheap, and adds what a block gives to what it got: half of
V1's work for a higher accuracy. See `inverted_residual` for the block.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from convscope.models.pytorch.blocks import average_head, conv_norm, scaled
from convscope.models.pytorch.families.mobile.inverted_residual import TIMM, inverted_residual
from convscope.models.pytorch.load_weights import cut
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

# A stage each: how much wider its blocks are inside, its maps, its blocks, and the stride of the first (table
# 2).
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def build(spec: ModelSpec, *, width: float, dropout: float) -> Network:
    """A 3×3 stem, seven stages of inverted residuals, 1×1 to 1,280 maps, average, linear; N×C×H×W → N×K.

    A `width` below 1 leaves the last convolution as wide as it is, as in the paper (section 4).
    """
    layer = partial(conv_norm, activation=nn.ReLU6)
    inputs = scaled(32, width)
    stages: dict[str, nn.Module] = {"stem": layer(spec.input_shape[0], inputs, stride=1 if spec.small else 2)}
    for number, (expansion, maps, count, stride) in enumerate(STAGES, 1):
        outputs = scaled(maps, width)
        strides = (1 if spec.small and number == 2 else stride, *[1] * (count - 1))
        blocks = []
        for step in strides:
            blocks.append(inverted_residual(inputs, expansion * inputs, outputs, layer=layer, stride=step))
            inputs = outputs
        stages[f"stage{number}"] = nn.Sequential(*blocks)
    stages["last"] = layer(inputs, scaled(1280, max(1.0, width)), 1)
    return Network(spec, stages, average_head(spec.classes, dropout=dropout))


VARIANTS = (
    ModelSpec(
        "mobilenet_v2",
        title="MobileNet V2",
        year=2018,
        paper="Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018",
        idea="pass few maps from block to block, and be wide inside, where it is cheap",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"width": 1.0, "dropout": 0.2},
        parameters=3_504_872,
        macs=300_774_272,
        receptive_field=491,
        published_parameters=3.4e6,
        published_macs=300e6,
        published_in="table 4",
        deviations="34,112 numbers of batch norm are counted, too; without them 3.47 M, where the paper "
        "writes 3.4",
        small_form="stem and second stage without stride: a place stands for 8 pixels instead of 32",
    ),
)

KEY_MAPS = {
    "torchvision": (
        *cut(
            "features",
            {"stem": 1, **{f"stage{i}": count for i, (_, _, count, _) in enumerate(STAGES, 1)}, "last": 1},
        ),
        (r"^body\.(stem|last)\.0\.(\d)", r"body.\1.\2"),
        (r"^(body\.stage1\.0)\.conv\.0", r"\1.depthwise"),
        (r"^(body\.stage1\.0)\.conv\.1", r"\1.project.0"),
        (r"^(body\.stage1\.0)\.conv\.2", r"\1.project.1"),
        (r"conv\.0", "expand"),
        (r"conv\.1", "depthwise"),
        (r"conv\.2", "project.0"),
        (r"conv\.3", "project.1"),
        (r"^classifier\.1", "head.3"),
    ),
    "timm": TIMM,
}
