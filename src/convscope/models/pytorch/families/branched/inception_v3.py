"""Inception-v3: large windows taken apart into small and into flat ones (Szegedy et al. 2015).

A 5×5 window is two 3×3 windows one behind the other; an n×n window is 1×n and then n×1, which for n = 7 takes
two sevenths of the weights. With these the modules of GoogLeNet grow to windows of 7×7 in the middle of the
network, where maps are 17×17. The image is halved beside a pool and not behind it: part of the maps comes
from convolutions of stride 2 and part from the pool, so nothing is squeezed through few numbers.

One auxiliary head, on the last 17×17 maps, gives logits while the network trains. The authors found that it
regularises rather than speeds up learning.
"""

from __future__ import annotations

from torch import nn

from convscope.models.pytorch.blocks import Branches
from convscope.models.pytorch.heads import MakeHead, average_head
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec


def layer(
    inputs: int, outputs: int, window: int | tuple[int, int] = 1, *, stride: int = 1, padded: bool = True
) -> nn.Sequential:
    """Conv → batch norm → ReLU, `window` square or (height, width); N×inputs×H×W → N×outputs×H′×W′."""
    height, width = window if isinstance(window, tuple) else (window, window)
    padding = (height // 2, width // 2) if padded else (0, 0)
    convolution = nn.Conv2d(inputs, outputs, (height, width), stride=stride, padding=padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs, eps=1e-3), nn.ReLU())


def mean_then(inputs: int, outputs: int) -> nn.Sequential:
    """The mean of 3×3 pixels, then a 1×1 convolution: a branch of all modules; N×C×H×W → N×outputs×H×W."""
    return nn.Sequential(nn.AvgPool2d(3, stride=1, padding=1), layer(inputs, outputs))


def module_35(inputs: int, behind_pool: int) -> Branches:
    """For 35×35 maps: 1×1, 5×5, two 3×3 in a row, and the mean; N×inputs×H×W → N×(224 + behind_pool)×H×W."""
    return Branches(
        {
            "branch1x1": layer(inputs, 64),
            # Kept whole in the released network, though figure 5 takes it apart.
            "branch5x5": nn.Sequential(layer(inputs, 48), layer(48, 64, 5)),
            "branch3x3dbl": nn.Sequential(layer(inputs, 64), layer(64, 96, 3), layer(96, 96, 3)),
            "branch_pool": mean_then(inputs, behind_pool),
        }
    )


def module_17(inputs: int, width: int) -> Branches:
    """For the 17×17 maps: 1×1, 7×7 taken apart, twice in a row, and the mean; N×inputs×H×W → N×768×H×W."""
    return Branches(
        {
            "branch1x1": layer(inputs, 192),
            # 1×7 and 7×1 in a row: 14 weights for 49 (figure 6 of arXiv 1512.00567).
            "branch7x7": nn.Sequential(
                layer(inputs, width), layer(width, width, (1, 7)), layer(width, 192, (7, 1))
            ),
            "branch7x7dbl": nn.Sequential(
                *(layer(inputs, width), layer(width, width, (7, 1)), layer(width, width, (1, 7))),
                *(layer(width, width, (7, 1)), layer(width, 192, (1, 7))),
            ),
            "branch_pool": mean_then(inputs, 192),
        }
    )


def both_ways() -> Branches:
    """1×3 beside 3×1, where taking 3×3 apart one behind the other would lose most; N×384×H×W → N×768×H×W."""
    return Branches({"a": layer(384, 384, (1, 3)), "b": layer(384, 384, (3, 1))})


def module_8(inputs: int) -> Branches:
    """For 8×8 maps, the widest: 1×1, 3×3 both ways, the same behind 3×3, the mean; N×C×H×W → N×2048×H×W."""
    return Branches(
        {
            "branch1x1": layer(inputs, 320),
            "branch3x3": nn.Sequential(layer(inputs, 384), both_ways()),
            "branch3x3dbl": nn.Sequential(layer(inputs, 448), layer(448, 384, 3), both_ways()),
            "branch_pool": mean_then(inputs, 192),
        }
    )


def halve_35(inputs: int) -> Branches:
    """From 35×35 to 17×17; N×inputs×H×W → N×(480 + inputs)×⌊(H−1)/2⌋×⌊(W−1)/2⌋."""
    return Branches(
        {
            "branch3x3": layer(inputs, 384, 3, stride=2, padded=False),
            "branch3x3dbl": nn.Sequential(
                layer(inputs, 64), layer(64, 96, 3), layer(96, 96, 3, stride=2, padded=False)
            ),
            # Beside the convolutions and not before them: no bottleneck (figure 10).
            "pool": nn.MaxPool2d(3, stride=2),
        }
    )


def halve_17(inputs: int) -> Branches:
    """From 17×17 to 8×8; N×inputs×H×W → N×(512 + inputs)×⌊(H−1)/2⌋×⌊(W−1)/2⌋."""
    return Branches(
        {
            "branch3x3": nn.Sequential(layer(inputs, 192), layer(192, 320, 3, stride=2, padded=False)),
            "branch7x7x3": nn.Sequential(
                *(layer(inputs, 192), layer(192, 192, (1, 7)), layer(192, 192, (7, 1))),
                layer(192, 192, 3, stride=2, padded=False),
            ),
            "pool": nn.MaxPool2d(3, stride=2),
        }
    )


def auxiliary_head(classes: int) -> MakeHead:
    """5×5 means of the maps, 1×1 and 5×5 convolutions to 768 numbers, K logits; for maps C×H×W."""

    def make(c: int, h: int, w: int) -> nn.Module:
        # Windows of 5, three apart, give 5×5 positions of 17×17 and fewer of smaller maps.
        means = nn.AvgPool2d(5, stride=3) if min(h, w) >= 17 else nn.AdaptiveAvgPool2d(5)
        layers = (means, layer(c, 128), layer(128, 768, 5, padded=False))
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(768, classes))

    return make


def build(spec: ModelSpec) -> Network:
    """A stem, then modules for 35×35, 17×17 and 8×8 maps and the mean of each map; N×C×H×W → N×K."""
    stride = 1 if spec.small else 2
    first_pool, second_pool = ([] if spec.small else [nn.MaxPool2d(3, stride=2)] for _ in range(2))
    stages: dict[str, nn.Module] = {
        "stem": nn.Sequential(
            *layer(spec.input_shape[0], 32, 3, stride=stride, padded=False),
            *(*layer(32, 32, 3, padded=False), *layer(32, 64, 3), *first_pool),
        ),
        "stage4": nn.Sequential(layer(64, 80), layer(80, 192, 3, padded=False), *second_pool),
        "stage5": nn.Sequential(module_35(192, 32), module_35(256, 64), module_35(288, 64)),
        "stage6": nn.Sequential(halve_35(288), *(module_17(768, width) for width in (128, 160, 160, 192))),
        "stage7": nn.Sequential(halve_17(768), module_8(1280), module_8(2048)),
    }
    head = average_head(spec.classes, dropout=0.5)
    return Network(spec, stages, head, auxiliary={"stage6": auxiliary_head(spec.classes)})


_NAMES = {
    **{"Conv2d_1a_3x3.conv": "stem.0", "Conv2d_1a_3x3.bn": "stem.1", "Conv2d_2a_3x3.conv": "stem.3"},
    **{"Conv2d_2a_3x3.bn": "stem.4", "Conv2d_2b_3x3.conv": "stem.6", "Conv2d_2b_3x3.bn": "stem.7"},
    **{"Conv2d_3b_1x1": "stage4.0", "Conv2d_4a_3x3": "stage4.1"},
    **{f"Mixed_5{letter}": f"stage5.{i}" for i, letter in enumerate("bcd")},
    **{f"Mixed_6{letter}": f"stage6.{i}" for i, letter in enumerate("abcde")},
    **{f"Mixed_7{letter}": f"stage7.{i}" for i, letter in enumerate("abc")},
}
KEY_MAPS = {
    "torchvision": (
        *((rf"^{theirs}\.", f"body.{ours}.") for theirs, ours in _NAMES.items()),
        *((r"^AuxLogits\.conv0", "auxiliary.stage6.1"), (r"^AuxLogits\.conv1", "auxiliary.stage6.2")),
        *((r"^AuxLogits\.fc", "auxiliary.stage6.5"), (r"^fc\.", "head.3."), ("branch_pool", "branch_pool.1")),
        (r"_(\d)([ab])\.", r"_\1.\2."),
        *((rf"_{i + 1}\.", f".{i}.") for i in range(5)),
        *((r"\.conv\.", ".0."), (r"\.bn\.", ".1.")),
    )
}
