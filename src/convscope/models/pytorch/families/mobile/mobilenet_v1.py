"""MobileNet: a convolution does two things, and on telephones they are done apart (Howard et al. 2017).

An ordinary 3×3 convolution sees the neighbourhood of a pixel and mixes the maps in one step, which takes
9 · M · N multiplications a pixel from M maps to N. Here a depthwise convolution first sees the
neighbourhood in each map by itself, 9 · M, and a pointwise one then mixes the maps, M · N: eight to nine
times less for about one point of accuracy. The stack is otherwise as plain as VGG's, with strides in place of
pools, and one number, `width`, thins every layer.

ReLU stops at 6, as in the authors' own code and in the weights that exist; the paper draws a plain ReLU.
"""

from __future__ import annotations

from torch import nn

from convscope.models.pytorch.blocks import conv_norm, scaled
from convscope.models.pytorch.heads import average_head
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

# Maps of each block (table 1 of arXiv 1704.04861); every stage but the first begins by halving the image.
STAGES = ((64,), (128, 128), (256, 256), (512,) * 6, (1024, 1024))


def separable(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    """Depthwise 3×3, pointwise 1×1, both with norm and ReLU; N×inputs×H×W → N×outputs×⌈H/stride⌉×…."""
    depthwise = conv_norm(inputs, inputs, stride=stride, groups=inputs, activation=nn.ReLU6)
    return nn.Sequential(*depthwise, *conv_norm(inputs, outputs, 1, activation=nn.ReLU6))


def build(spec: ModelSpec, *, width: float) -> Network:
    """A 3×3 stem and five stages of separable convolutions, average, linear; N×C×H×W → N×K."""
    # In the small form the stem and stage 2 keep the size: 4×4 positions are left of 32×32.
    first_to_halve = 3 if spec.small else 2
    inputs = scaled(32, width)
    stem = conv_norm(spec.input_shape[0], inputs, stride=1 if spec.small else 2, activation=nn.ReLU6)
    stages: dict[str, nn.Module] = {"stem": stem}
    for number, maps in enumerate(STAGES, 1):
        stride = 2 if number >= first_to_halve else 1
        blocks: list[nn.Module] = []
        for outputs in (scaled(count, width) for count in maps):
            blocks.append(separable(inputs, outputs, stride=1 if blocks else stride))
            inputs = outputs
        stages[f"stage{number}"] = nn.Sequential(*blocks)
    return Network(spec, stages, average_head(spec.classes))


KEY_MAPS = {
    "timm": (
        (r"^conv_stem", "body.stem.0"),
        (r"^bn1", "body.stem.1"),
        *((rf"^blocks\.{i}", f"body.stage{i + 1}") for i in range(len(STAGES))),
        (r"conv_dw", "0"),
        (r"bn1", "1"),
        (r"conv_pw", "3"),
        (r"bn2", "4"),
        (r"^classifier", "head.2"),
    )
}
