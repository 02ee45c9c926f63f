"""AlexNet: the network that won ImageNet in 2012 and made the field turn to deep learning (Krizhevsky et al.
2012).

LeNet's plan, a thousand times larger, made trainable by three things: ReLU, which does not flatten out above
0 and so learns several times as fast as tanh; dropout in the dense layers, which hold 96 % of the weights;
and graphics cards. Pooling windows of 3×3 lie two pixels apart and so overlap.

The first AlexNet was cut into two columns, since one card could not hold it, and normalised each place over
the maps beside it. This is the one column of Krizhevsky's code of 2014 (One Weird Trick for Parallelizing
Convolutional Neural Networks) without that norm, as torchvision has it.
"""

from __future__ import annotations

from torch import nn

from convscope.models.pytorch.blocks import MakeHead
from convscope.models.pytorch.load_weights import cut
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

PLACES = (
    6  # rows and columns of places that the dense layers look at; a larger last map is averaged down to them
)


def overlapping_pool() -> nn.Module:
    """The maximum of 3×3 windows, two pixels apart; N×C×H×W → N×C×⌊(H−1)/2⌋×⌊(W−1)/2⌋."""
    return nn.MaxPool2d(3, stride=2)


def dense_layers(classes: int) -> MakeHead:
    """The mean in at most 6×6 places, two hidden layers of 4,096 with dropout before each, then K logits."""

    def make(c: int, h: int, w: int) -> nn.Module:
        places = (min(h, PLACES), min(w, PLACES))
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(places), nn.Flatten()]
        for numbers in (c * places[0] * places[1], 4096):
            layers += [nn.Dropout(0.5), nn.Linear(numbers, 4096), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(4096, classes))

    return make


def build(spec: ModelSpec) -> Network:
    """Five convolutions in three stages that end with a pool, then three dense layers; N×C×H×W → N×K."""
    first = nn.Conv2d(spec.input_shape[0], 64, 11, stride=1 if spec.small else 4, padding=2)
    last = [] if spec.small else [overlapping_pool()]
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


VARIANTS = (
    ModelSpec(
        "alexnet",
        title="AlexNet",
        year=2012,
        paper="Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional Neural "
        "Networks, 2012",
        idea="LeNet's plan a thousand times larger, with ReLU, dropout and graphics cards",
        input_shape=(3, 224, 224),
        classes=1000,
        parameters=61_100_840,
        macs=714_188_480,
        receptive_field=195,
        published_parameters=60e6,
        published_in="abstract",
        deviations=(
            "one column with 64, 192, 384, 256 and 256 maps, as in the author's code of 2014 (his paper of "
            "that year "
            "has 384 in the fourth), no response normalisation, and dropout before each hidden layer, not "
            "behind it"
        ),
        rate=0.01,
        small_form="a first convolution of stride 1 and no last pool: a place stands for 4 pixels instead "
        "of 32",
    ),
)

KEY_MAPS = {
    "torchvision": (
        *cut("features", {"stage1": 3, "stage2": 3, "stage3": 7}),
        *((rf"^classifier\.{theirs}", f"head.{theirs + 2}") for theirs in (1, 4, 6)),
    )
}
