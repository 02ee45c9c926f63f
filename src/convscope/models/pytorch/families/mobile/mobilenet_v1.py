"""MobileNet: a network for telephones, since a convolution does two things that can be done apart (Howard et
al. 2017).

An ordinary 3×3 convolution looks at the neighbourhood of a pixel and mixes the maps in one step, which takes
9 · M · N multiplications a pixel from M maps to N. Here a depthwise convolution first looks at the
neighbourhood in each map by itself, 9 · M, and a pointwise one then mixes the maps, M · N: eight to nine
times less for about one point of accuracy. The stack is otherwise as plain as VGG's, with strides in place of
pools, and one number, `width`, thins every layer.

ReLU stops at 6, as in the authors' own code and in the weights that exist; the paper draws a plain ReLU.
"""

from __future__ import annotations

from torch import nn

from convscope.models.pytorch.blocks import average_head, conv_norm, scaled
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

# Maps of each block; every stage but the first begins by halving the image (table 1).
STAGES = ((64,), (128, 128), (256, 256), (512,) * 6, (1024, 1024))


def separable(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    """Depthwise 3×3, then pointwise 1×1, each with norm and ReLU; N×inputs×H×W →
    N×outputs×⌈H/stride⌉×⌈W/stride⌉.
    """
    depthwise = conv_norm(inputs, inputs, stride=stride, groups=inputs, activation=nn.ReLU6)
    return nn.Sequential(*depthwise, *conv_norm(inputs, outputs, 1, activation=nn.ReLU6))


def build(spec: ModelSpec, *, width: float) -> Network:
    """A 3×3 stem and five stages of separable convolutions, average, linear; N×C×H×W → N×K."""
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


VARIANTS = (
    ModelSpec(
        "mobilenet_v1",
        title="MobileNet V1",
        year=2017,
        paper="Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision "
        "Applications, 2017",
        idea="look at the neighbourhood in each map by itself, then mix the maps: a ninth of the work",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"width": 1.0},
        parameters=4_231_976,
        macs=568_740_352,
        receptive_field=315,
        published_parameters=4.2e6,
        published_macs=569e6,
        published_in="table 4",
        deviations="ReLU stops at 6, as in the authors' own code",
        small_form="stem and second stage without stride: a place stands for 8 pixels instead of 32",
    ),
)

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
