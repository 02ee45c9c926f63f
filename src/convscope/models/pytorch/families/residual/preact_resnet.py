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
from convscope.models.pytorch.blocks import average_head, conv
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


class Block(nn.Module):
    """shortcut + conv(dropout(relu(BN(conv(a))))), a = relu(BN(x)); N×inputs×H×W →
    N×outputs×⌈H/stride⌉×⌈W/stride⌉.

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
        active = F.relu(self.norm1(x))
        change: Tensor = self.conv2(self.dropout(F.relu(self.norm2(self.conv1(active)))))
        return change + (x if self.shortcut is None else self.shortcut(active))


def build(spec: ModelSpec, *, blocks: tuple[int, ...], channels: tuple[int, ...], dropout: float) -> Network:
    """A stem, a stage for each of `blocks`, norm, ReLU, average, linear; `channels` are the stem's and each
    stage's.

    Networks for photographs begin with a 7×7 convolution and a pool, which leave a quarter of the height and
    width; others, and those in their small form, with a 3×3 convolution. N×C×H×W → N×K.
    """
    if len(channels) != len(blocks) + 1:
        raise UserError(
            f"channels {list(channels)} do not fit blocks {list(blocks)}; give the stem's, then one a stage "
            f"of blocks"
        )
    if not 0 <= dropout < 1:
        raise UserError(f"dropout is {dropout}; give a share from 0 up to, but not including, 1")
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
    stages[f"stage{len(blocks)}"].add_module("norm", nn.BatchNorm2d(inputs))
    stages[f"stage{len(blocks)}"].add_module("relu", nn.ReLU())
    return Network(spec, stages, average_head(spec.classes))


VARIANTS = (
    ModelSpec(
        "preact_resnet18",
        title="Pre-activation ResNet-18",
        year=2016,
        paper="He et al., Identity Mappings in Deep Residual Networks, 2016",
        idea="norm and ReLU before each convolution leave the shortcuts free from end to end",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"blocks": (2, 2, 2, 2), "channels": (64, 64, 128, 256, 512), "dropout": 0.0},
        parameters=11_687_720,
        macs=1_814_073_344,
        receptive_field=435,
        deviations="18 layers, where the paper has over 100; the first shortcut takes the stem's maps "
        "before a ReLU",
        small_form="3×3 stem without stride or pooling: a place stands for 8 pixels instead of 32",
    ),
    ModelSpec(
        "wrn_28_10",
        title="Wide ResNet-28-10",
        year=2016,
        paper="Zagoruyko & Komodakis, Wide Residual Networks, 2016",
        idea="few wide blocks in place of many thin ones",
        input_shape=(3, 32, 32),
        options={"blocks": (4, 4, 4), "channels": (16, 160, 320, 640), "dropout": 0.0},
        parameters=36_479_194,
        macs=5_243_328_768,
        receptive_field=109,
        published_parameters=36.5e6,
        published_in="table 4",
    ),
)

KEY_MAPS = {
    "timm": (
        (r"^stem\.conv", "body.stem.0"),
        *((rf"^stages\.{i}\.blocks", f"body.stage{i + 1}") for i in range(4)),
        (r"downsample\.conv", "shortcut"),
        (r"^norm", "body.stage4.norm"),
        (r"^head\.fc", "head.2"),
    ),
}
