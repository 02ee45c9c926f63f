"""MobileNet V3: V2's blocks, each in a form that a search on real telephones found (Howard et al. 2019).

Kernel, inner width, squeeze-and-excite and activation are chosen block by block: first by a search for
accuracy at a given time on a telephone, then by taking away what costs more time than it is worth. By hand
came a narrower stem, the widest layer behind the average instead of before it, and h-swish, x · relu6(x + 3)
/ 6, which is near to x · sigmoid(x) and needs no exponential; it stands in the stem and in the deeper half,
where maps are small and it costs least.

`large` and `small` are two networks, not one in two widths.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from torch import nn

from convscope.core.errors import unknown_name
from convscope.models.pytorch.blocks import check_fraction, conv_norm, scaled
from convscope.models.pytorch.families.mobile.mobilenet_v2 import TORCHVISION, inverted_residual
from convscope.models.pytorch.families.residual.attention import SqueezeExcite
from convscope.models.pytorch.heads import MakeHead
from convscope.models.pytorch.load_weights import Renames, cut
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


class Row(NamedTuple):
    """A stage: blocks that differ in their inner width alone; the first one takes the stride."""

    kernel: int
    expanded: tuple[int, ...]
    outputs: int
    squeezes: bool
    activation: type[nn.Module]
    stride: int


# By size, the width of the head's hidden layer and the stages (tables 1 and 2).
HIDDEN = {"large": 1280, "small": 1024}
STAGES = {
    "large": (
        Row(3, (16,), 16, False, nn.ReLU, 1),
        Row(3, (64, 72), 24, False, nn.ReLU, 2),
        Row(5, (72, 120, 120), 40, True, nn.ReLU, 2),
        Row(3, (240, 200, 184, 184), 80, False, nn.Hardswish, 2),
        Row(3, (480, 672), 112, True, nn.Hardswish, 1),
        Row(5, (672, 960, 960), 160, True, nn.Hardswish, 2),
    ),
    "small": (
        Row(3, (16,), 16, True, nn.ReLU, 2),
        Row(3, (72, 88), 24, False, nn.ReLU, 2),
        Row(5, (96, 240, 240), 40, True, nn.Hardswish, 2),
        Row(5, (120, 144), 48, True, nn.Hardswish, 1),
        Row(5, (288, 576, 576), 96, True, nn.Hardswish, 2),
    ),
}

# Statistics run over about a hundred batches, a decay of 0.99 as in section 6.1.1 of arXiv 1905.02244; eps is
# that of the authors' code.
norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


def stage(inputs: int, row: Row, *, stride: int) -> nn.Sequential:
    """The blocks of a row; N×inputs×H×W → N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
    layer = partial(conv_norm, activation=row.activation, norm=norm)
    blocks: list[nn.Module] = []
    for expanded in row.expanded:
        # A quarter of the wide maps, and a hard sigmoid, which needs no exponential (sections 5.3, 5.2).
        gate = SqueezeExcite(expanded, scaled(expanded, 0.25), gate=nn.Hardsigmoid) if row.squeezes else None
        size = {"kernel": row.kernel, "stride": 1 if blocks else stride}
        blocks.append(inverted_residual(inputs, expanded, row.outputs, layer=layer, squeeze=gate, **size))
        inputs = row.outputs
    return nn.Sequential(*blocks)


def hidden_head(hidden: int, classes: int, *, dropout: float) -> MakeHead:
    """The mean of each map, a hidden layer with h-swish, dropout, linear: made for maps C×H×W, gives N×K."""
    check_fraction("dropout", dropout)
    return lambda c, _h, _w: nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(c, hidden),
        nn.Hardswish(),
        nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )


def build(spec: ModelSpec, *, size: str, dropout: float) -> Network:
    """A 3×3 stem, the stages of `size`, 1×1 to six times the maps, a dense head; N×C×H×W → N×K."""
    if size not in STAGES:
        raise unknown_name("size of mobilenet_v3", size, STAGES)
    layer = partial(conv_norm, activation=nn.Hardswish, norm=norm)
    inputs = 16
    stages: dict[str, nn.Module] = {"stem": layer(spec.input_shape[0], inputs, stride=1 if spec.small else 2)}
    # The sizes halve at different stages; the first that would is kept large in the small form.
    first_to_halve = next(row for row in STAGES[size] if row.stride == 2)
    for number, row in enumerate(STAGES[size], 1):
        left_out = spec.small and row is first_to_halve
        stages[f"stage{number}"] = stage(inputs, row, stride=1 if left_out else row.stride)
        inputs = row.outputs
    stages["last"] = layer(inputs, 6 * inputs, 1)
    return Network(spec, stages, hidden_head(HIDDEN[size], spec.classes, dropout=dropout))


def _torchvision(rows: tuple[Row, ...]) -> Renames:
    lengths = {f"stage{number}": len(row.expanded) for number, row in enumerate(rows, 1)}
    heads = ((r"^classifier\.0", "head.2"), (r"^classifier\.3", "head.5"))
    return (*cut("features", {"stem": 1, **lengths, "last": 1}), *TORCHVISION, *heads)


KEY_MAPS = {f"torchvision, {size}": _torchvision(rows) for size, rows in STAGES.items()}
