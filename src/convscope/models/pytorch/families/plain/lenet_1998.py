"""LeNet-5 as it was published, with exactly 60,000 weights (LeCun, Bottou, Bengio & Haffner 1998, section
II-B).

What later networks left out is here. A map of the second convolution, C3, sees only some of the six maps
before it, chosen by hand so that no two see the same ones. Pooling has weights: the sum of 2×2 pixels times a
coefficient, plus a bias, both learned for each map. After every layer stands 1.7159·tanh(2x/3), which is 1 at
1 and −1 at −1, where it bends most. And an answer is a distance: each class has a code of 84 numbers, +1 or
−1, that is not learned, and what the network says of an image, 84 numbers too, is compared with all codes.
The nearest one wins.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

# Which maps of S2 each map of C3 sees (table I): six take three neighbours, nine take four maps, the last
# takes all.
THREES = tuple(tuple((first + i) % 6 for i in range(3)) for first in range(6))
FOURS = (
    *(tuple((first + i) % 6 for i in range(4)) for first in range(6)),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
)
FEATURES = 84  # a code was drawn as a picture of 7×12 pixels


class ScaledTanh(nn.Module):
    """1.7159·tanh(2x/3), so that f(±1) = ±1 and the second derivative is largest there; any shape."""

    def forward(self, x: Tensor) -> Tensor:
        """The same shape, with values between −1.7159 and 1.7159."""
        return 1.7159 * torch.tanh(2 / 3 * x)


class Subsample(nn.Module):
    """coefficient · (sum of 2×2 pixels) + bias, one of each a map; N×C×H×W → N×C×⌊H/2⌋×⌊W/2⌋. It starts as
    the mean.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.full((maps, 1, 1), 0.25))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps N×C×H×W to maps N×C×⌊H/2⌋×⌊W/2⌋."""
        return self.coefficient * (4 * F.avg_pool2d(x, 2)) + self.bias


class SomeToSome(nn.Module):
    """C3: sixteen 5×5 convolutions, each over the maps that table I gives it; N×6×H×W → N×16×(H−4)×(W−4).

    A grouped convolution gives each of its maps a share of the input of its own, so the maps are gathered
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
    """The code of class `number`: the first 84 bits of SHA-256 of its decimal digits, a 1 as +1 and a 0 as
    −1.

    So a class has the same code however many there are, on every machine.

    >>> code(3)[:6], len(code(3))
    ([-1.0, 1.0, -1.0, -1.0, 1.0, 1.0], 84)
    """
    digest = hashlib.sha256(str(number).encode()).digest()
    return [float(digest[i // 8] >> (7 - i % 8) & 1) * 2 - 1 for i in range(FEATURES)]


class Distances(nn.Module):
    """Logits −‖x − code‖² / (2√84) for each of K classes; N×84 → N×K: a Gaussian's log-likelihood at each
    code.

    The root keeps logits near 1: x·code, all that differs between classes, is a sum of 84 numbers. Without it
    one step at a rate of 0.1 throws the answers about: Fashion-MNIST, 200 steps of 64 images, 53 % instead of
    83 %.
    """

    codes: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.tensor([code(i) for i in range(classes)]))

    def forward(self, x: Tensor) -> Tensor:
        """Numbers N×84 to logits N×K, none above 0."""
        squares = (x[:, None, :] - self.codes).square().sum(2)
        return squares / (-2 * math.sqrt(FEATURES))


def build(spec: ModelSpec) -> Network:
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


VARIANTS = (
    ModelSpec(
        "lenet5_1998",
        title="LeNet-5 of 1998",
        year=1998,
        paper="LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998",
        idea="as published: partial connections, pooling that learns, and the distance to fixed codes as "
        "the answer",
        input_shape=(1, 32, 32),
        parameters=60_000,
        macs=325_680,
        receptive_field=16,
        published_parameters=60_000,
        published_in="section II-B",
        deviations=(
            "random codes, which the paper names beside its drawings of the characters; "
            "cross-entropy over distances divided by 2√84, so without the constant class of its equation 9"
        ),
    ),
)
