"""ShuffleNet V2: designed for the time it takes, not for multiplications on paper (Ma et al. 2018).

Two networks with as many multiplications can differ twofold in speed, since memory has to be read and written
as well. What the authors measured became rules: as many maps out as in, few groups, few branches, few
element-wise operations. A unit therefore leaves half of the maps as they are and works on the other half;
then the halves are shuffled, so that half of what passed by is worked on next. Where the image is halved, all
maps are worked on, twice.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import conv_norm
from convscope.models.pytorch.heads import average_head
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

UNITS = (4, 8, 4)  # of stages 2 to 4 (table 5 of arXiv 1807.11164)


def in_turns(left: Tensor, right: Tensor) -> Tensor:
    """The maps of two halves in turns, a₁ b₁ a₂ b₂ …; two times N×C×H×W → N×2C×H×W.

    torch's own shuffle keeps channels last, where a transposed view is copied back to channels first: 1.2 ms
    and 3.1 for 64×116×16×16 (one thread).

    >>> left, right = torch.arange(6).view(2, 1, 3, 1, 1)
    >>> in_turns(left, right).flatten().tolist()
    [0, 3, 1, 4, 2, 5]
    """
    return F.channel_shuffle(torch.cat([left, right], 1), 2)


def worked_on(inputs: int, outputs: int, *, stride: int) -> nn.Sequential:
    """1×1, depthwise 3×3, 1×1, with no ReLU in the middle; N×inputs×H×W → N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
    return nn.Sequential(
        *conv_norm(inputs, outputs, 1),
        *conv_norm(outputs, outputs, stride=stride, groups=outputs, activation=None),
        *conv_norm(outputs, outputs, 1),
    )


class Unit(nn.Module):
    """a and work(b) in turns, for the halves a and b of the maps; N×C×H×W → N×C×H×W."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.branch2 = worked_on(maps // 2, maps // 2, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×C×H×W to maps N×C×H×W."""
        # The left half passes untouched: no multiplication, no memory traffic beside the shuffle.
        left, right = x.chunk(2, dim=1)
        return in_turns(left, self.branch2(right))


class HalvingUnit(nn.Module):
    """shrink(x) and work(x) in turns, both with stride 2; N×inputs×H×W → N×outputs×⌈H/2⌉×⌈W/2⌉."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branch1 = nn.Sequential(
            *conv_norm(inputs, inputs, stride=2, groups=inputs, activation=None),
            *conv_norm(inputs, outputs // 2, 1),
        )
        self.branch2 = worked_on(inputs, outputs // 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×inputs×H×W to maps N×outputs×⌈H/2⌉×⌈W/2⌉."""
        return in_turns(self.branch1(x), self.branch2(x))


def build(spec: ModelSpec, *, channels: tuple[int, ...], last: int) -> Network:
    """A stem of 24 maps, three stages of `channels`, 1×1 to `last` maps, average, linear; N×C×H×W → N×K."""
    if len(channels) != len(UNITS) or any(maps % 2 for maps in channels):
        raise UserError(
            f"channels are {list(channels)}; give {len(UNITS)} even numbers, such as [116, 232, 464]"
        )
    inputs = 24  # in every width of the network
    stem = conv_norm(spec.input_shape[0], inputs, stride=1 if spec.small else 2)
    pool = [] if spec.small else [nn.MaxPool2d(3, stride=2, padding=1)]
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(*stem, *pool)}
    for number, (maps, units) in enumerate(zip(channels, UNITS, strict=True), 2):
        stages[f"stage{number}"] = nn.Sequential(
            HalvingUnit(inputs, maps), *(Unit(maps) for _ in range(units - 1))
        )
        inputs = maps
    stages["last"] = conv_norm(inputs, last, 1)
    return Network(spec, stages, average_head(spec.classes))


KEY_MAPS = {
    "torchvision": (
        (r"^conv1", "body.stem"),
        (r"^stage", "body.stage"),
        (r"^conv5", "body.last"),
        (r"^fc", "head.2"),
    )
}
