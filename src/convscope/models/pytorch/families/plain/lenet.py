"""LeNet-5: the convolutional network that read the digits of bank cheques (LeCun, Bottou, Bengio & Haffner
1998).

Convolutions share their weights over the image, pooling forgets where exactly a stroke lay, and the whole is
learned at once by gradient descent. This is its modern form: ReLU, max pooling, every map of the second
convolution sees every map before it, and the last layer gives logits. The options bring back tanh and
averages; `lenet5_1998` is the network that was published.
"""

from __future__ import annotations

from torch import nn

from convscope.core.errors import unknown_name
from convscope.models.pytorch.blocks import pool
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


def build(spec: ModelSpec, *, activation: str, pooling: str) -> Network:
    """C1, S2, C3, S4 as two stages, then C5, F6 and the output as the head; N×C×H×W → N×K.

    The paper puts 28×28 digits in the middle of a 32×32 field. An image below 32 pixels is padded by 2 on
    each side for the same effect; a larger one is taken as it is. C5 covers all of the last map, so it is a
    linear layer.
    """
    if activation not in ACTIVATIONS:
        raise unknown_name("activation", activation, ACTIVATIONS)
    act = ACTIVATIONS[activation]
    channels, height, width = spec.input_shape
    padding = 2 if min(height, width) < 32 else 0
    stages = {
        "stage1": nn.Sequential(nn.Conv2d(channels, 6, 5, padding=padding), act(), pool(pooling)),
        "stage2": nn.Sequential(nn.Conv2d(6, 16, 5), act(), pool(pooling)),
    }

    def head(c: int, h: int, w: int) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(c * h * w, 120),
            act(),
            nn.Linear(120, 84),
            act(),
            nn.Linear(84, spec.classes),
        )

    return Network(spec, stages, head)


VARIANTS = (
    ModelSpec(
        "lenet5",
        title="LeNet-5",
        year=1998,
        paper="LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998",
        idea="shared weights, local fields and pooling, learned end to end",
        input_shape=(1, 28, 28),
        options={"activation": "relu", "pooling": "max"},
        parameters=61_706,
        macs=416_520,
        receptive_field=16,
        published_parameters=60_000,
        published_in="section II-B",
        deviations=(
            "ReLU, max pooling without weights, full connections in C3, linear logits; "
            "the paper's has exactly 60,000 parameters: lenet5_1998"
        ),
    ),
)
