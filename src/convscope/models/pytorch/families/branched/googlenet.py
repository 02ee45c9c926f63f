"""GoogLeNet: windows of several sizes side by side; the network learns which it needs (Szegedy et al. 2014).

Nobody knows which window a layer should have, so an Inception module has all: 1×1, 3×3, 5×5 and a pool, on
the same maps. 1×1 convolutions first bring the number of maps down, without which the large windows would be
too dear; 22 layers with weights so take a tenth of what VGG-16 takes, and a twentieth of its weights.

In so deep a network little of the gradient was thought to reach the first layers. Two auxiliary heads
half-way give logits, too, while the network trains, and their losses are added (the paper weighs them with
0.3); afterwards they are idle.
"""

from __future__ import annotations

from functools import partial

from torch import nn

from convscope.models.pytorch.blocks import Branches, conv_norm
from convscope.models.pytorch.heads import MakeHead, average_head
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

# Maps of each module (table 1 of arXiv 1409.4842): 1×1; before 3×3, 3×3; before 5×5, 5×5; behind the pool.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}

layer = partial(conv_norm, norm=partial(nn.BatchNorm2d, eps=1e-3))
"""Conv → batch norm → ReLU, with the ε of the published weights."""


def halve(window: int = 3) -> nn.Module:
    """The maximum of windows two pixels apart, the last cut off by the edge; N×C×H×W → N×C×⌈(H−1)/2⌉×…."""
    return nn.MaxPool2d(window, stride=2, ceil_mode=True)


def inception(inputs: int, maps: tuple[int, ...]) -> Branches:
    """The module with these numbers of maps; N×inputs×H×W → N×C×H×W, C the maps of its four branches."""
    one, before_three, three, before_five, five, behind_pool = maps
    return Branches(
        {
            "branch1": layer(inputs, one, 1),
            "branch2": nn.Sequential(layer(inputs, before_three, 1), layer(before_three, three)),
            # The paper has 5×5 here; the published weights are 3×3.
            "branch3": nn.Sequential(layer(inputs, before_five, 1), layer(before_five, five)),
            "branch4": nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), layer(inputs, behind_pool, 1)),
        }
    )


def auxiliary_head(classes: int) -> MakeHead:
    """4×4 means, 128 maps by a 1×1 convolution, a hidden layer of 1,024 with dropout, K logits."""
    return lambda c, _h, _w: nn.Sequential(
        *(nn.AdaptiveAvgPool2d(4), layer(c, 128, 1), nn.Flatten()),
        *(nn.Linear(128 * 16, 1024), nn.ReLU(), nn.Dropout(0.7), nn.Linear(1024, classes)),
    )


def build(spec: ModelSpec) -> Network:
    """A stem, nine Inception modules and the mean of each map; two auxiliary heads; N×C×H×W → N×K."""
    first = layer(spec.input_shape[0], 64, 7, stride=1 if spec.small else 2)
    stages: dict[str, nn.Module] = {
        "stem": nn.Sequential(*first, *([] if spec.small else [halve()])),
        "stage2": nn.Sequential(layer(64, 64, 1), layer(64, 192)),
    }
    modules = {}
    inputs = 192
    for name, maps in MODULES.items():
        modules[name] = inception(inputs, maps)
        one, _, three, _, five, behind_pool = maps
        inputs = one + three + five + behind_pool
    # Stage 4 is cut where an auxiliary head reads its maps.
    stages["stage3"] = nn.Sequential(halve(), modules["3a"], modules["3b"])
    stages["stage4a"] = nn.Sequential(halve(), modules["4a"])
    stages["stage4d"] = nn.Sequential(modules["4b"], modules["4c"], modules["4d"])
    stages["stage4e"] = nn.Sequential(modules["4e"])
    stages["stage5"] = nn.Sequential(halve(2), modules["5a"], modules["5b"])
    # Behind 4a and 4d, as in figure 3.
    auxiliary = dict.fromkeys(("stage4a", "stage4d"), auxiliary_head(spec.classes))
    return Network(spec, stages, average_head(spec.classes, dropout=0.2), auxiliary=auxiliary)


_NAMES = {
    **{"conv1": "stem", "conv2": "stage2.0", "conv3": "stage2.1"},
    **{"inception3a": "stage3.1", "inception3b": "stage3.2", "inception4a": "stage4a.1"},
    **{"inception4b": "stage4d.0", "inception4c": "stage4d.1", "inception4d": "stage4d.2"},
    **{"inception4e": "stage4e.0", "inception5a": "stage5.1", "inception5b": "stage5.2"},
}
KEY_MAPS = {
    "torchvision": (
        *((r"^aux1\.", "auxiliary.stage4a."), (r"^aux2\.", "auxiliary.stage4d.")),
        *((r"\.conv\.(conv|bn)", r".1.\1"), (r"\.fc1\.", ".3."), (r"\.fc2\.", ".6."), (r"^fc\.", "head.3.")),
        *((rf"^{theirs}\.", f"body.{ours}.") for theirs, ours in _NAMES.items()),
        *((r"\.conv\.", ".0."), (r"\.bn\.", ".1.")),
    )
}
