"""What the networks are made of: convolution, batch norm, ReLU and pooling in their usual orders, and
heads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor, nn

from convscope.core.errors import UserError, unknown_name

MakeHead: TypeAlias = Callable[[int, int, int], nn.Module]
"""Makes the head for maps C×H×W; called with those three."""

POOLINGS: dict[str, Callable[[], nn.Module]] = {
    "max": lambda: nn.MaxPool2d(2),
    "average": lambda: nn.AvgPool2d(2),
}


def pool(kind: str) -> nn.Module:
    """Halve height and width: the `max` or the `average` of each 2×2 window, N×C×H×W → N×C×⌊H/2⌋×⌊W/2⌋."""
    if kind not in POOLINGS:
        raise unknown_name("pooling", kind, POOLINGS)
    return POOLINGS[kind]()


def conv(
    inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A convolution whose padding k//2 keeps height and width at stride 1; the kernel k must be odd for that.

    With `groups` each group of output maps sees its own share of the input maps alone; both counts must
    divide by it.

    >>> conv(3, 8, 5).padding
    (2, 2)
    """
    if kernel % 2 == 0 or kernel < 1:
        raise UserError(
            f"kernel {kernel} is not odd; give 1, 3, 5, …, so that the padding k//2 keeps the image's size"
        )
    if outputs < 1:
        raise UserError(f"a convolution with {outputs} maps was asked for; give a width of 1 or more")
    if groups < 1 or inputs % groups or outputs % groups:
        raise UserError(
            f"{groups} groups do not share out {inputs} and {outputs} maps; give a divisor of both"
        )
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=bias)


def conv_relu(
    inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1, norm: bool = True
) -> list[nn.Module]:
    """Conv → batch norm → ReLU, or without `norm` Conv → ReLU. A norm's shift makes the convolution's bias
    needless.
    """
    first = conv(inputs, outputs, kernel, stride=stride, groups=groups, bias=not norm)
    return [first, *([nn.BatchNorm2d(outputs)] if norm else []), nn.ReLU()]


def conv_norm(
    inputs: int,
    outputs: int,
    kernel: int = 3,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: Callable[[], nn.Module] | None = nn.ReLU,
    norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
) -> nn.Sequential:
    """Conv → norm → activation, or without the last; N×inputs×H×W → N×outputs×⌈H/stride⌉×⌈W/stride⌉.

    With `groups` = inputs = outputs it is a depthwise convolution: each map has a kernel of its own.

    >>> [type(layer).__name__ for layer in conv_norm(8, 8, groups=8, activation=nn.ReLU6)]
    ['Conv2d', 'BatchNorm2d', 'ReLU6']
    """
    activations = [] if activation is None else [activation()]
    return nn.Sequential(
        conv(inputs, outputs, kernel, stride=stride, groups=groups, bias=False), norm(outputs), *activations
    )


def scaled(maps: int, width: float) -> int:
    """`maps` · `width` to the nearest multiple of 8, or one more where that is over a tenth too few; at least
    8.

    Howard et al. (2017) thin their networks so; eights suit the vector registers of telephones.

    >>> scaled(32, 0.75), scaled(24, 0.5), scaled(24, 0.75), scaled(16, 0.1)
    (24, 16, 24, 8)
    """
    if not 0 < width < math.inf:
        raise UserError(f"width is {width}; give how wide to make every layer, above 0, such as 0.5 or 1.0")
    rounded = max(8, int(maps * width + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * maps * width else rounded + 8


class Residual(nn.Sequential):
    """x + layers(x), for layers that keep number and size of the maps (He et al. 2015); N×C×H×W → N×C×H×W.

    >>> Residual(nn.Identity())(torch.ones(1, 1, 1, 2)).flatten().tolist()
    [2.0, 2.0]
    """

    def forward(self, x: Tensor) -> Tensor:
        """What came in, plus what the layers make of it."""
        change: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return x + change


class Branches(nn.ModuleDict):
    """All branches see the same maps, and their results lie one behind the other; N×C×H×W →
    N×(C₁+C₂+…)×H′×W′.

    >>> Branches({"one": nn.Identity(), "two": nn.Conv2d(3, 5, 1)})(torch.zeros(1, 3, 2, 2)).shape[1]
    8
    """

    def forward(self, x: Tensor) -> Tensor:
        """The maps of every branch, in order."""
        return torch.cat([branch(x) for branch in self.values()], 1)


def conv_pool(
    inputs: int, outputs: int, kernel: int = 3, *, norm: bool = True, pooling: str = "max", depth: int = 1
) -> nn.Sequential:
    """One stage: `depth` times Conv (→ batch norm) → ReLU, then a 2×2 pool; N×C×H×W → N×outputs×⌊H/2⌋×⌊W/2⌋.

    A max-pool is put before the last ReLU. Both orders give the same numbers and the same gradients, since
    ReLU never turns an order round: max(relu(x)) = relu(max(x)); but ReLU then touches a quarter of the
    values. That took a training step of `small_cnn` from 44.0 to 40.2 ms (bfloat16, batch 128, 1 thread; 18 %
    before freed memory was kept, see `device.keep_freed_memory`). An average is no such function, so it stays
    behind the ReLU.
    """
    if depth < 1:
        raise UserError(f"depth is {depth}; a stage has at least 1 convolution")
    layers: list[nn.Module] = []
    for i in range(depth):
        layers += conv_relu(inputs if i == 0 else outputs, outputs, kernel, norm=norm)
    layers.insert(-1 if pooling == "max" else len(layers), pool(pooling))
    return nn.Sequential(*layers)


def pooled_stages(
    inputs: int,
    widths: tuple[int, ...],
    kernel: tuple[int, ...] = (3,),
    *,
    norm: bool = True,
    pooling: str = "max",
    depth: int = 1,
) -> dict[str, nn.Module]:
    """Stages stage1, stage2, …: a `conv_pool` for each of `widths`; `kernel` holds one size for all, or one
    for each.

    >>> list(pooled_stages(3, (16, 32), (5, 3)))
    ['stage1', 'stage2']
    """
    kernels = kernel * len(widths) if len(kernel) == 1 else kernel
    if len(kernels) != len(widths):
        raise UserError(
            f"kernel has {len(kernel)} sizes for {len(widths)} widths; give one for all, or one for each"
        )
    channels = (inputs, *widths)
    return {
        f"stage{i + 1}": conv_pool(channels[i], width, kernels[i], norm=norm, pooling=pooling, depth=depth)
        for i, width in enumerate(widths)
    }


def dense_head(hidden: int, classes: int, *, dropout: float) -> MakeHead:
    """A head with one hidden layer: flatten → linear → ReLU → dropout → linear, made for maps C×H×W."""
    if hidden < 1:
        raise UserError(f"hidden is {hidden}; give a hidden layer 1 or more numbers")
    check_share("dropout", dropout)
    return lambda c, h, w: nn.Sequential(
        nn.Flatten(), nn.Linear(c * h * w, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)
    )


def average_head(classes: int, *, dropout: float | None = None) -> MakeHead:
    """A head for images of any size: the mean of each map, then a linear layer (Lin, Chen & Yan 2013).

    With a `dropout` from 0 up to 1 a layer of it stands before the linear one.
    """
    shares = () if dropout is None else (dropout,)
    for share in shares:
        check_share("dropout", share)
    return lambda c, _h, _w: nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), *map(nn.Dropout, shares), nn.Linear(c, classes)
    )


def check_share(what: str, share: float) -> None:
    """A UserError unless `share` of what is left out at random is from 0 up to, but not including, 1."""
    if not 0 <= share < 1:
        raise UserError(f"{what} is {share}; give a share from 0 up to, but not including, 1")


class Standardise(nn.Module):
    """(x − mean) / std for each of C numbers; both are measured once, stored with the weights, and never
    trained.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    def measure(self, features: Tensor) -> None:
        """Take mean and deviation from features N×C; of a deviation below a tenth of their mean, that tenth
        is taken.

        A map that is blank in all training images has none, and a spark of it in another would drown
        everything else.
        """
        std = features.std(dim=0, correction=0)
        self.mean.copy_(features.mean(dim=0))
        self.std.copy_(std.clamp_min(max(1e-6, 0.1 * float(std.mean()))))

    def forward(self, x: Tensor) -> Tensor:
        """N×C to N×C."""
        return (x - self.mean) / self.std


def linear_head(classes: int) -> MakeHead:
    """The head that transfer learning trains: the mean of each map, standardised, then a linear layer."""
    return lambda c, _h, _w: nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), Standardise(c), nn.Linear(c, classes)
    )
