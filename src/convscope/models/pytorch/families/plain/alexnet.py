"""AlexNet: it won ImageNet in 2012 and made the field turn to deep learning (Krizhevsky et al. 2012).

LeNet's plan, a thousand times larger, made trainable by three things: ReLU, which does not flatten out above
0 and so learns several times as fast as tanh; dropout in the dense layers, which hold 96 % of the weights;
and graphics cards. Pooling windows of 3×3 lie two pixels apart and so overlap.

The first AlexNet was cut into two columns, since one card could not hold it, and normalised each position
over the maps beside it. This is the one column of Krizhevsky's code of 2014 (One Weird Trick for
Parallelizing Convolutional Neural Networks) without that norm, as torchvision has it.
"""

from __future__ import annotations

from torch import nn

from convscope.models.pytorch.heads import MakeHead
from convscope.models.pytorch.load_weights import cut
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

# Rows and columns of positions that the dense layers read; a larger last map is averaged down to them.
POSITIONS = 6


def overlapping_pool() -> nn.Module:
    """The maximum of 3×3 windows, two pixels apart; N×C×H×W → N×C×⌊(H−1)/2⌋×⌊(W−1)/2⌋."""
    return nn.MaxPool2d(3, stride=2)


def dense_layers(classes: int) -> MakeHead:
    """The mean in at most 6×6 positions, two hidden layers of 4,096 behind dropout, then K logits."""

    def make(c: int, h: int, w: int) -> nn.Module:
        positions = (min(h, POSITIONS), min(w, POSITIONS))
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(positions), nn.Flatten()]
        # 54 of the 61 million weights are here, 38 of them in the first layer.
        for numbers in (c * positions[0] * positions[1], 4096):
            layers += [nn.Dropout(0.5), nn.Linear(numbers, 4096), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(4096, classes))

    return make


def build(spec: ModelSpec) -> Network:
    """Five convolutions in three stages that end with a pool, then three dense layers; N×C×H×W → N×K."""
    # With stride 4 an image of 32 pixels would have 7×7 positions left before the first pool.
    first = nn.Conv2d(spec.input_shape[0], 64, 11, stride=1 if spec.small else 4, padding=2)
    last = [] if spec.small else [overlapping_pool()]
    # Widths are those of Krizhevsky 2014, arXiv 1404.5997, as torchvision has them.
    stages = {
        "stage1": nn.Sequential(first, nn.ReLU(), overlapping_pool()),
        "stage2": nn.Sequential(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), overlapping_pool()),
        "stage3": nn.Sequential(
            *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU()),
            *last,
        ),
    }
    return Network(spec, stages, dense_layers(spec.classes))


KEY_MAPS = {
    "torchvision": (
        *cut("features", {"stage1": 3, "stage2": 3, "stage3": 7}),
        *((rf"^classifier\.{theirs}", f"head.{theirs + 2}") for theirs in (1, 4, 6)),
    )
}
