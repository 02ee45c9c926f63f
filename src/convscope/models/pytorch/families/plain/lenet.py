"""LeNet-5: the convolutional network that read the digits of bank cheques (LeCun et al. 1998).

Convolutions share their weights over the image, pooling forgets where exactly a stroke lay, and the whole is
learned at once by gradient descent. `lenet5` is its modern form: ReLU, max pooling, every map of the second
convolution sees every map before it, and the last layer gives logits. Its options bring back tanh and
averages.

`lenet5_1998` is the network that was published, with exactly 60,000 weights (section II-B), and what later
networks left out. A map of the second convolution, C3, sees only some of the six maps before it, chosen by
hand so that no two see the same ones. Pooling has weights: the sum of 2×2 pixels times a coefficient, plus a
bias, both learned for each map. After every layer stands 1.7159·tanh(2x/3), which is 1 at 1 and −1 at −1,
where it bends most. And a logit is a distance: each class has a code of 84 numbers, +1 or −1, that is not
learned, and the 84 numbers that the network gives for an image are compared with all codes. The nearest one
wins.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convscope.core.errors import unknown_name
from convscope.models.pytorch.blocks import pool
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "relu": nn.ReLU}


def build_modern(spec: ModelSpec, *, activation: str, pooling: str) -> Network:
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


# Which maps of S2 each map of C3 sees (table I): six take three neighbours, nine take four, the last all.
THREES = tuple(tuple((first + i) % 6 for i in range(3)) for first in range(6))
FOURS = (
    *(tuple((first + i) % 6 for i in range(4)) for first in range(6)),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
)
FEATURES = 84  # a code was drawn as an image of 7×12 pixels


class ScaledTanh(nn.Module):
    """1.7159·tanh(2x/3), so that f(±1) = ±1 and the second derivative is largest there; any shape."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, with values between −1.7159 and 1.7159."""
        # Appendix A of the paper: the gain is then near 1 over the range of the codes.
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsample(nn.Module):
    """coefficient · (sum of 2×2 pixels) + bias, one of each a map, first the mean; N×C×H×W → N×C×⌊H/2⌋×…."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((maps, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×C×H×W to maps N×C×⌊H/2⌋×⌊W/2⌋."""
        return self.coefficient * (4 * F.avg_pool2d(x, 2)) + self.bias


class SomeToSome(nn.Module):
    """C3: sixteen 5×5 convolutions, each over the maps that table I gives it; N×6×H×W → N×16×(H−4)×(W−4).

    A grouped convolution gives each of its maps a part of the input of its own, so the maps are gathered
    first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.threes = nn.Conv2d(18, 6, 5, groups=6)
        self.fours = nn.Conv2d(36, 9, 5, groups=9)
        self.all = nn.Conv2d(6, 1, 5)

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×6×H×W to maps N×16×(H−4)×(W−4), in the order of the table."""
        threes, fours = (x[:, [i for some in table for i in some]] for table in (THREES, FOURS))
        return torch.cat([self.threes(threes), self.fours(fours), self.all(x)], 1)


def code(number: int) -> list[float]:
    """The code of class `number`: the first 84 bits of SHA-256 of its decimal digits, 1 as +1 and 0 as −1.

    So a class has the same code however many there are, on every machine.

    >>> code(3)[:6], len(code(3))
    ([-1.0, 1.0, -1.0, -1.0, 1.0, 1.0], 84)
    """
    digest = hashlib.sha256(str(number).encode()).digest()
    return [float(digest[i // 8] >> (7 - i % 8) & 1) * 2 - 1 for i in range(FEATURES)]


class Distances(nn.Module):
    """Logits −‖x − code‖² / (2√84) of K classes, log-likelihoods of a Gaussian at each code; N×84 → N×K.

    The root keeps logits near 1: x·code, all that differs between classes, is a sum of 84 numbers. Without it
    one step at a rate of 0.1 throws the logits about: Fashion-MNIST, 200 steps of 64 images, 53 % instead of
    83 %.
    """

    codes: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.tensor([code(i) for i in range(classes)]))

    def forward(self, x: Tensor) -> Tensor:
        """Numbers N×84 to logits N×K, none above 0."""
        # N×K×84 numbers at once: 2 MB for 64 images of 100 classes.
        squares = (x[:, None, :] - self.codes).square().sum(2)
        return squares / (-2 * math.sqrt(FEATURES))


def build_1998(spec: ModelSpec) -> Network:
    """C1 and S2, C3 and S4 as two stages, then C5, F6 and the distances as the head; N×C×H×W → N×K.

    The paper puts 28×28 digits in the middle of a 32×32 field, so an image below 32 pixels is padded by 2 on
    each side.
    """
    channels, height, width = spec.input_shape
    padding = 2 if min(height, width) < 32 else 0
    first = nn.Conv2d(channels, 6, 5, padding=padding)
    stages = {
        "stage1": nn.Sequential(first, ScaledTanh(), Subsample(6), ScaledTanh()),
        "stage2": nn.Sequential(SomeToSome(), ScaledTanh(), Subsample(16), ScaledTanh()),
    }

    def head(c: int, h: int, w: int) -> nn.Module:
        dense = (nn.Linear(c * h * w, 120), ScaledTanh(), nn.Linear(120, FEATURES), ScaledTanh())
        return nn.Sequential(nn.Flatten(), *dense, Distances(spec.classes))

    return Network(spec, stages, head)
