"""ResNet for small images: blocks add what they learn to what they got (He et al. 2015, section 4.2).

A plain network of 56 layers trains worse than one of 20, though it could copy it. When each block only has to
learn a change, doing nothing is easy, and 110 layers train. Three stages of n blocks, with 16, 32 and 64
maps, make a depth of 6n + 2 layers.

Where a stage halves the image and doubles the maps, the shortcut has no weights (the paper's option A): it
keeps every second pixel and fills up with maps of zeros. The paper leaves open where; here half are before
the others, half after.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import conv, conv_relu
from convscope.models.pytorch.heads import average_head
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


class Block(nn.Module):
    """relu(shortcut(x) + BN(conv(relu(BN(conv(x)))))); N×inputs×H×W → N×outputs×⌈H/stride⌉×⌈W/stride⌉."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.conv1 = conv(inputs, outputs, stride=stride, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv(outputs, outputs, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.fill = outputs - inputs

    def shortcut(self, x: Tensor) -> Tensor:
        """Option A: every `stride`-th pixel, and maps of zeros on both sides of those that are there."""
        if self.stride == 1 and self.fill == 0:
            return x
        # Half before and half behind: akamaster's published weights are trained so.
        before = self.fill // 2
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.fill - before))

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×inputs×H×W to maps N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
        change = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.shortcut(x) + self.bn2(self.conv2(change)))


def build(spec: ModelSpec, *, depth: int, widths: tuple[int, ...]) -> Network:
    """A 3×3 stem, (depth − 2) / 2 blocks in the stages of `widths`, average, linear; N×C×H×W → N×K."""
    layers_a_block_in_every_stage = 2 * len(widths)
    # Two convolutions a block, and stem and linear layer make the 2 of 6n + 2.
    blocks, rest = divmod(depth - 2, layers_a_block_in_every_stage)
    if rest or blocks < 1:
        raise UserError(
            f"depth {depth} is not {layers_a_block_in_every_stage}n + 2; for {len(widths)} stages give "
            f"{', '.join(str(layers_a_block_in_every_stage * n + 2) for n in (1, 2, 3))}, …"
        )
    if any(a > b for a, b in pairwise(widths)):
        raise UserError(
            f"widths {list(widths)} shrink; the weightless shortcut can only add maps, so let them grow"
        )
    stages: dict[str, nn.Module] = {"stem": nn.Sequential(*conv_relu(spec.input_shape[0], widths[0]))}
    inputs = widths[0]
    for i, width in enumerate(widths):
        first = Block(inputs, width, stride=1 if i == 0 else 2)
        stages[f"stage{i + 1}"] = nn.Sequential(
            first, *(Block(width, width, stride=1) for _ in range(blocks - 1))
        )
        inputs = width
    return Network(spec, stages, average_head(spec.classes))


KEY_MAPS = {
    "akamaster": (
        (r"^conv1", "body.stem.0"),
        (r"^bn1", "body.stem.1"),
        (r"^layer", "body.stage"),
        (r"^linear", "head.2"),
    )
}
