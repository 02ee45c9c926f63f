"""MobileNet V2: blocks that are narrow outside and wide inside (Sandler, Howard, Zhu, Zhmoginov & Chen 2018).

V1 mixes many maps into many maps at every layer. V2 is stacked from inverted residuals, half of V1's work for
a higher accuracy. A residual block of ResNet is wide outside and narrow inside. This one is turned round: it
takes few maps, expands them sixfold with a 1×1 convolution, sees the neighbourhood in each of the many
maps by itself, which is cheap, and projects them back to few. What passes from block to block is small, so a
telephone's memory holds it. Nothing follows the projection: a ReLU on few maps would cut off what no other
map holds (the paper's linear bottleneck).

MobileNet V3 and EfficientNet take the same block, and weigh the wide maps with squeeze-and-excite before they
are projected.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from convscope.models.pytorch.blocks import Residual, StochasticDepth, conv_norm, scaled
from convscope.models.pytorch.heads import average_head
from convscope.models.pytorch.load_weights import Renames, cut
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

# A stage each: expansion of its blocks, its maps, its blocks, and the stride of the first (table 2 of arXiv
# 1801.04381).
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def inverted_residual(
    inputs: int,
    expanded: int,
    outputs: int,
    *,
    layer: Callable[..., nn.Module],
    kernel: int = 3,
    stride: int = 1,
    squeeze: nn.Module | None = None,
    drop: float = 0.0,
) -> nn.Sequential:
    """Expand 1×1 → depthwise k×k → squeeze → project 1×1; N×inputs×H×W → N×outputs×⌈H/stride⌉×⌈W/stride⌉.

    `layer` makes a convolution with norm and activation, and takes what `blocks.conv_norm` takes. Where
    `expanded` equals `inputs` nothing expands. What the block gives is added to what it got where the shapes
    agree, and `drop` is the fraction of images for which it is left out in training (see `StochasticDepth`).

    >>> from convscope.models.pytorch.blocks import conv_norm
    >>> block = inverted_residual(8, 48, 16, layer=conv_norm, stride=2)
    >>> [name for name, _ in block.named_children()]
    ['expand', 'depthwise', 'project']
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if expanded != inputs:
        parts["expand"] = layer(inputs, expanded, 1)
    parts["depthwise"] = layer(expanded, expanded, kernel, stride=stride, groups=expanded)
    if squeeze is not None:
        parts["squeeze"] = squeeze
    # Linear: section 3.2 shows what a ReLU on few maps would lose.
    parts["project"] = layer(expanded, outputs, 1, activation=None)
    return added_where_it_fits(parts, same=stride == 1 and inputs == outputs, drop=drop)


def added_where_it_fits(parts: OrderedDict[str, nn.Module], *, same: bool, drop: float) -> nn.Sequential:
    """The parts in a row; where they keep the shape (`same`), their result is added to what they got."""
    if not same:
        return nn.Sequential(parts)
    return Residual(OrderedDict([*parts.items(), ("drop", StochasticDepth(drop))]) if drop else parts)


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


# torchvision numbers the parts that are there, and the first block does not expand.
TORCHVISION: Renames = (
    (r"^body\.(stem|last)\.0\.(\d)", r"body.\1.\2"),
    (r"block\.\d\.fc", "squeeze.fc"),
    (r"^(body\.stage1\.0)\.block\.0", r"\1.depthwise"),
    (r"^(body\.stage1\.0)\.block\.[12]", r"\1.project"),
    (r"block\.0", "expand"),
    (r"block\.1", "depthwise"),
    (r"block\.[23]", "project"),
)

# timm calls the parts by their order, and the first block, which does not expand, has one fewer.
TIMM: Renames = (
    (r"^conv_stem", "body.stem.0"),
    (r"^bn1", "body.stem.1"),
    (r"^conv_head", "body.last.0"),
    (r"^bn2", "body.last.1"),
    (r"^classifier", "head.3"),
    (r"^(blocks\.0\.0)\.conv_dw", r"\1.depthwise.0"),
    (r"^(blocks\.0\.0)\.bn1", r"\1.depthwise.1"),
    (r"^(blocks\.0\.0)\.conv_pw", r"\1.project.0"),
    (r"^(blocks\.0\.0)\.bn2", r"\1.project.1"),
    (r"conv_pwl", "project.0"),
    (r"bn3", "project.1"),
    (r"conv_pw", "expand.0"),
    (r"\.bn1", ".expand.1"),
    (r"conv_dw", "depthwise.0"),
    (r"\.bn2", ".depthwise.1"),
    (r"\.se\.conv_reduce", ".squeeze.fc1"),
    (r"\.se\.conv_expand", ".squeeze.fc2"),
    *((rf"^blocks\.{i}\.", f"body.stage{i + 1}.") for i in range(7)),
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
