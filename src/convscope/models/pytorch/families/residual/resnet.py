"""ResNet for photographs: blocks that add what they learn to what they got (He, Zhang, Ren & Sun 2015).

A deeper plain network trains worse than a shallow one, though it could copy it. When a block only has to
learn a change to its input, doing nothing is easy, and 152 layers train. Up to 34 layers a block is two 3×3
convolutions. Beyond that it is a bottleneck: a 1×1 convolution leaves a quarter of the maps, the dear 3×3
works on those few, and another 1×1 brings all back. Where a stage changes size or number of the maps, a 1×1
convolution fits the shortcut to it (the paper's option B).

The others change one thing each. ResNeXt (Xie et al. 2017) splits the 3×3 into 32 groups and widens it for
what that saves. Wide ResNet (Zagoruyko & Komodakis 2016) makes the 3×3 twice as wide. SE-ResNet (Hu et al.
2018) and CBAM (Woo et al. 2018) end each change with a gate, see `attention`.

A bottleneck that halves the image does so in its 3×3 convolution, as torchvision's and timm's weights have
it; as published it was the first 1×1, which overlooks three of four positions (`stride_in="1x1"`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor, nn
from torch.nn import functional as F

from convscope.core.errors import UserError, unknown_name
from convscope.models.pytorch.blocks import conv, conv_relu
from convscope.models.pytorch.families.residual.attention import ChannelAndSpatialGate, SqueezeExcite
from convscope.models.pytorch.heads import average_head
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

Layers: TypeAlias = list[nn.Module]

ATTENTION: dict[str, Callable[[int, int], nn.Module]] = {"se": SqueezeExcite, "cbam": ChannelAndSpatialGate}
REDUCTION = 16  # both papers: the gates squeeze C maps to C/16 numbers
EXPANSION = {"basic": 1, "bottleneck": 4}  # maps that a block gives for each that its stage is wide


def basic(inputs: int, width: int, stride: int) -> Layers:
    """Two 3×3 convolutions; N×inputs×H×W → N×width×⌈H/stride⌉×⌈W/stride⌉."""
    return [*conv_relu(inputs, width, stride=stride), conv(width, width, bias=False), nn.BatchNorm2d(width)]


def bottleneck(
    inputs: int, width: int, stride: int, *, groups: int, group_width: int, stride_in: str
) -> Layers:
    """1×1, 3×3 in groups, 1×1; N×inputs×H×W → N×4·width×⌈H/stride⌉×⌈W/stride⌉.

    `group_width` is how many maps a group of the 3×3 has where the stage is 64 wide; it grows with the stage.
    """
    strides = {"1x1": (stride, 1), "3x3": (1, stride)}
    if stride_in not in strides:
        raise unknown_name("place for the stride", stride_in, strides)
    # 32 groups of 4 where the stage is 64 wide make 128 inner maps, of 8 where it is 128 wide 256.
    inner = width * group_width // 64 * groups
    return [
        *conv_relu(inputs, inner, 1, stride=strides[stride_in][0]),
        *conv_relu(inner, inner, stride=strides[stride_in][1], groups=groups),
        conv(inner, 4 * width, 1, bias=False),
        nn.BatchNorm2d(4 * width),
    ]


class Block(nn.Module):
    """relu(shortcut(x) + change(x)); N×inputs×H×W → N×outputs×⌈H/stride⌉×⌈W/stride⌉."""

    def __init__(self, change: Layers, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.change = nn.Sequential(*change)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            fit = conv(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(fit, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×inputs×H×W to maps N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
        return F.relu(self.shortcut(x) + self.change(x))


def build(
    spec: ModelSpec,
    *,
    block: str,
    blocks: tuple[int, ...],
    attention: str,
    groups: int = 1,
    group_width: int = 64,
    stride_in: str = "3x3",
) -> Network:
    """A stem, a stage of 64, 128, 256, … maps for each of `blocks`, average, linear; N×C×H×W → N×K."""
    if block not in EXPANSION:
        raise unknown_name("block", block, EXPANSION)
    if attention not in ("none", *ATTENTION):
        raise unknown_name("attention", attention, ("none", *ATTENTION))
    if block == "basic" and (groups, group_width, stride_in) != (1, 64, "3x3"):
        options = f"groups={groups}, group_width={group_width} and stride_in={stride_in}"
        raise UserError(
            f"{options} belong to bottlenecks; for basic blocks give groups=1, group_width=64, stride_in=3x3"
        )

    def residual(inputs: int, width: int, stride: int) -> Block:
        outputs = width * EXPANSION[block]
        if block == "basic":
            change = basic(inputs, width, stride)
        else:
            change = bottleneck(
                inputs, width, stride, groups=groups, group_width=group_width, stride_in=stride_in
            )
        if attention != "none":
            # After the last norm and before the sum (figure 3 of Hu et al., arXiv 1709.01507).
            change.append(ATTENTION[attention](outputs, outputs // REDUCTION))
        return Block(change, inputs, outputs, stride=stride)

    # In its small form the stem is that of ResNets for CIFAR: stride and pool would leave 1×1 of 32×32.
    kernel, stride, pools = (3, 1, []) if spec.small else (7, 2, [nn.MaxPool2d(3, stride=2, padding=1)])
    stem = nn.Sequential(*conv_relu(spec.input_shape[0], 64, kernel, stride=stride), *pools)
    stages, inputs = {"stem": stem}, 64
    for i, count in enumerate(blocks):
        width = 64 * 2**i
        outputs = width * EXPANSION[block]
        # The stem has halved already, so the first stage does not.
        first = residual(inputs, width, 1 if i == 0 else 2)
        stages[f"stage{i + 1}"] = nn.Sequential(
            first, *(residual(outputs, width, 1) for _ in range(count - 1))
        )
        inputs = outputs
    return Network(spec, stages, average_head(spec.classes))


TORCHVISION = (
    (r"^conv1", "body.stem.0"),
    (r"^bn1", "body.stem.1"),
    (r"^layer", "body.stage"),
    (r"downsample", "shortcut"),
    (r"\.conv1", ".change.0"),
    (r"\.bn1", ".change.1"),
    (r"\.conv2", ".change.3"),
    (r"\.bn2", ".change.4"),
    (r"\.conv3", ".change.6"),
    (r"\.bn3", ".change.7"),
    (r"^fc", "head.2"),
)
KEY_MAPS = {
    "torchvision": TORCHVISION,
    "timm": (*TORCHVISION, (r"\.se\.", ".change.8."), (r"\.spatial\.conv\.", ".spatial.")),
}
