"""The block that MobileNet V2, V3 and EfficientNet are stacked from: narrow outside, wide inside (Sandler et
al. 2018).

A residual block of ResNet is wide outside and narrow inside. This one is turned round: it takes few maps,
expands them with a 1×1 convolution, looks at the neighbourhood in each of the many maps by itself, which is
cheap, and projects them back to few. What passes from block to block is small, so a telephone's memory holds
it. Nothing follows the projection: a ReLU on few maps would cut off what no other map holds (the paper's
linear bottleneck).

Squeeze-and-excite, where a network has it, weighs the wide maps before they are projected.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from convscope.models.pytorch.blocks import Residual
from convscope.models.pytorch.families.residual.stochastic_depth import StochasticDepth
from convscope.models.pytorch.load_weights import Renames


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
    agree, and `drop` is the share of images for which it is left out in training (see `StochasticDepth`).

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
    parts["project"] = layer(expanded, outputs, 1, activation=None)
    return added_where_it_fits(parts, same=stride == 1 and inputs == outputs, drop=drop)


def added_where_it_fits(parts: OrderedDict[str, nn.Module], *, same: bool, drop: float) -> nn.Sequential:
    """The parts one after the other; where they keep the shape (`same`), their result is added to what they
    got.
    """
    if not same:
        return nn.Sequential(parts)
    return Residual(OrderedDict([*parts.items(), ("drop", StochasticDepth(drop))]) if drop else parts)


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
