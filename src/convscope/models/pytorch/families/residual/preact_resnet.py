"""Pre-activation ResNets: a shortcut that nothing stands on (He, Zhang, Ren & Sun, Identity Mappings, 2016).

The first ResNet put a ReLU behind each sum, so that what a block passes on is changed again. Here norm and
ReLU come before each convolution instead, and a block is x + change(x) and nothing else: within a stage the
last block sees the sum of what all blocks before it wrote, and beside what comes back through the blocks each
gets the gradient of that sum unchanged. One norm and ReLU end the network. Where a stage changes the number
of maps, its first block's shortcut is a 1×1 convolution of the activated maps.

Wide ResNet (Zagoruyko & Komodakis 2016) takes these blocks and makes them ten times as wide: on CIFAR 28
layers then err less than 1,001 thin ones and train 1.6 times as fast, with 3.6 times the weights. Dropout
between the two convolutions of a block gains a little more.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import check_fraction, conv
from convscope.models.pytorch.heads import average_head
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


class Block(nn.Module):
    """shortcut + conv(dropout(relu(BN(conv(a))))), a = relu(BN(x)); N×inputs×H×W → N×outputs×⌈H/stride⌉×….

    The shortcut is x, or a 1×1 convolution of a where the shape changes.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = conv(inputs, outputs, stride=stride, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = conv(outputs, outputs, bias=False)
        same = stride == 1 and inputs == outputs
        self.shortcut = None if same else conv(inputs, outputs, 1, stride=stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×inputs×H×W to maps N×outputs×⌈H/stride⌉×⌈W/stride⌉."""
        # Shared by both ways where the shape changes; else the shortcut stays x itself (arXiv 1603.05027).
        active = F.relu(self.norm1(x))
        change: Tensor = self.conv2(self.dropout(F.relu(self.norm2(self.conv1(active)))))
        return change + (x if self.shortcut is None else self.shortcut(active))


def build(spec: ModelSpec, *, blocks: tuple[int, ...], channels: tuple[int, ...], dropout: float) -> Network:
    """A stem, a stage for each of `blocks`, norm, ReLU, average, linear; `channels`: of stem and stages.

    Networks for photographs begin with a 7×7 convolution and a pool, which leave a quarter of the height and
    width; others, and those in their small form, with a 3×3 convolution. N×C×H×W → N×K.
    """
    if len(channels) != len(blocks) + 1:
        raise UserError(
            f"channels {list(channels)} do not fit blocks {list(blocks)}; give the stem's, then one a stage "
            f"of blocks"
        )
    check_fraction("dropout", dropout)
    photographs = bool(spec.small_form) and not spec.small
    kernel, stride, pools = (7, 2, [nn.MaxPool2d(3, stride=2, padding=1)]) if photographs else (3, 1, [])
    stem = conv(spec.input_shape[0], channels[0], kernel, stride=stride, bias=False)
    stages = {"stem": nn.Sequential(stem, *pools)}
    inputs = channels[0]
    for i, (count, width) in enumerate(zip(blocks, channels[1:], strict=True)):
        stage = nn.Sequential(Block(inputs, width, stride=1 if i == 0 else 2, dropout=dropout))
        stage.extend(Block(width, width, stride=1, dropout=dropout) for _ in range(count - 1))
        stages[f"stage{i + 1}"] = stage
        inputs = width
    # The last sum has not passed a norm yet.
    stages[f"stage{len(blocks)}"].add_module("norm", nn.BatchNorm2d(inputs))
    stages[f"stage{len(blocks)}"].add_module("relu", nn.ReLU())
    return Network(spec, stages, average_head(spec.classes))


KEY_MAPS = {
    "timm": (
        (r"^stem\.conv", "body.stem.0"),
        *((rf"^stages\.{i}\.blocks", f"body.stage{i + 1}") for i in range(4)),
        (r"downsample\.conv", "shortcut"),
        (r"^norm", "body.stage4.norm"),
        (r"^head\.fc", "head.2"),
    ),
}
