"""What the networks are made of: convolution, norm, ReLU and pooling in their usual orders, and branches."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from convscope.core.errors import UserError, unknown_name

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

    Args:
        inputs: maps that come in.
        outputs: maps that go out, 1 or more.
        kernel: side of the window in pixels, odd.
        stride: pixels from window to window; height and width shrink to ⌈H/stride⌉×⌈W/stride⌉.
        groups: each sees its own part of the input maps alone; must divide both counts.
        bias: does each output map get a number of its own added?

    Raises:
        UserError: an even kernel, no maps, or groups that divide not both counts.

    >>> conv(3, 8, 5).padding
    (2, 2)
    """
    # An even kernel has no middle: maps would shrink or shift by half a pixel.
    if kernel % 2 == 0 or kernel < 1:
        raise UserError(
            f"kernel {kernel} is not odd; give 1, 3, 5, …, so that the padding k//2 keeps the image's size"
        )
    if outputs < 1:
        raise UserError(f"a convolution with {outputs} maps was asked for; give a width of 1 or more")
    if groups < 1 or inputs % groups or outputs % groups:
        raise UserError(f"{groups} groups do not divide {inputs} and {outputs} maps; give a divisor of both")
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=bias)


def conv_relu(
    inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1, norm: bool = True
) -> list[nn.Module]:
    """Conv → batch norm → ReLU, or without `norm` Conv → ReLU; a norm's shift makes a bias needless.

    Args are those of `conv`; the layers are a list, so that a pool can be put among them.
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

    Args:
        inputs: maps that come in.
        outputs: maps that go out, 1 or more.
        kernel: side of the window in pixels, odd.
        stride: pixels from window to window.
        groups: as in `conv`.
        activation: makes the last layer, or None for no activation.
        norm: makes the norm of as many maps as it is called with.

    >>> [type(layer).__name__ for layer in conv_norm(8, 8, groups=8, activation=nn.ReLU6)]
    ['Conv2d', 'BatchNorm2d', 'ReLU6']
    """
    # No bias: the norm that follows shifts, too.
    activations = [] if activation is None else [activation()]
    return nn.Sequential(
        conv(inputs, outputs, kernel, stride=stride, groups=groups, bias=False), norm(outputs), *activations
    )


def scaled(maps: int, width: float) -> int:
    """`maps` · `width` to the nearest multiple of 8, at least 8, and not over a tenth too few.

    Howard et al. (2017) thin their networks so; eights suit the vector registers of telephones.

    Args:
        maps: of a layer as it was designed.
        width: of the thinner or wider network, above 0; 1.0 is as it was designed.

    Raises:
        UserError: the width is not above 0, or not finite.

    >>> scaled(32, 0.75), scaled(24, 0.5), scaled(24, 0.75), scaled(16, 0.1)
    (24, 16, 24, 8)
    """
    if not 0 < width < math.inf:
        raise UserError(f"width is {width}; give how wide to make every layer, above 0, such as 0.5 or 1.0")
    # As in TensorFlow Models, slim/nets/mobilenet: trained weights have these widths.
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
    """All branches see the same maps, and their results lie side by side; N×C×H×W → N×(C₁+C₂+…)×H′×W′.

    >>> Branches({"one": nn.Identity(), "two": nn.Conv2d(3, 5, 1)})(torch.zeros(1, 3, 2, 2)).shape[1]
    8
    """

    def forward(self, x: Tensor) -> Tensor:
        """The maps of every branch, in order."""
        # Dictionaries keep their order, and so do the weights of what reads the maps next.
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

    Args:
        inputs: maps that come in.
        outputs: maps that go out, 1 or more.
        kernel: side of the window in pixels, odd.
        norm: does a batch norm follow each convolution?
        pooling: "max" or "average".
        depth: convolutions, 1 or more.

    Raises:
        UserError: no convolution, an unknown pooling, or what `conv` refuses.
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
    """Stages stage1, stage2, …: a `conv_pool` for each of `widths`; `kernel`: one size for all or one each.

    Args:
        inputs: maps of the image, C.
        widths: maps of each stage.
        kernel: odd sides of windows in pixels.
        norm: does a batch norm follow each convolution?
        pooling: "max" or "average".
        depth: convolutions a stage, 1 or more.

    Raises:
        UserError: another number of kernels than of widths, or what `conv_pool` refuses.

    >>> list(pooled_stages(3, (16, 32), (5, 3)))
    ['stage1', 'stage2']
    """
    # A tuple of one stands for all stages, so that --set kernel=5 says it for each.
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


def check_fraction(what: str, fraction: float) -> None:
    """A UserError unless the `fraction` that is left out at random is from 0 up to, but not including, 1."""
    if not 0 <= fraction < 1:
        raise UserError(f"{what} is {fraction}; give a fraction from 0 up to, but not including, 1")


class StochasticDepth(nn.Module):
    """x · b / (1 − p) in training, b drawn for each image: 0 with probability `p`, else 1; x at evaluation.

    At the end of what a residual block adds, it leaves out the whole block for some images, so that a deep
    network trains as many shallow ones and no block can rely on any other one (Huang et al. 2016). Divided by
    1 − p, the mean over many draws is x, and evaluation needs no correction. The shape begins with N and
    stays as it is. UserError unless 0 ≤ p < 1.

    >>> layer = StochasticDepth(0.75)
    >>> bool(torch.isin(layer(torch.ones(5, 1, 1, 1)), torch.tensor([0.0, 4.0])).all())
    True
    >>> layer.eval()(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        check_fraction("stochastic depth", p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Each image whole, or zeros in its place."""
        if not self.training or self.p == 0:
            return x
        # The paper draws once a batch; EfficientNet and ConvNeXt draw for each image.
        kept = x.new_empty((len(x), *[1] * (x.ndim - 1))).bernoulli_(1 - self.p)
        return x * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        """What stands in the brackets when the layer is printed."""
        return f"p={self.p}"
