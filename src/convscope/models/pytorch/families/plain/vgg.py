"""VGG: nothing but 3×3 convolutions, and many of them (Simonyan & Zisserman 2014).

Two 3×3 convolutions see the same 5×5 pixels as one 5×5 convolution, three see 7×7, with fewer weights (27C²
against 49C²) and a ReLU behind each. So only one size of window is left to choose, and the perturbations is
depth: 11, 13, 16 or 19 layers with weights, in five stages that halve the image and, up to 512 maps, double
the maps.

Nine weights in ten lie in the three dense layers; networks after this one take the mean of each map instead.
"""

from __future__ import annotations

from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.blocks import MakeHead, conv
from convscope.models.pytorch.load_weights import cut
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

WIDTHS = (64, 128, 256, 512, 512)
PLACES = (
    7  # rows and columns of places that the dense layers look at; a larger last map is averaged down to them
)


def stage(inputs: int, outputs: int, *, convolutions: int, norm: bool) -> list[nn.Module]:
    """3×3 convolutions with ReLU, with `norm` a batch norm between the two; N×inputs×H×W → N×outputs×H×W."""
    layers: list[nn.Module] = []
    for i in range(convolutions):
        # Published weights have a bias also where a norm makes it needless.
        layers.append(conv(outputs if i else inputs, outputs))
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()] if norm else [nn.ReLU()]
    return layers


def dense_layers(classes: int) -> MakeHead:
    """The mean in at most 7×7 places, two hidden layers of 4,096 with dropout behind each, then K logits."""

    def make(c: int, h: int, w: int) -> nn.Module:
        places = (min(h, PLACES), min(w, PLACES))
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(places), nn.Flatten()]
        for numbers in (c * places[0] * places[1], 4096):
            layers += [nn.Linear(numbers, 4096), nn.ReLU(), nn.Dropout(0.5)]
        return nn.Sequential(*layers, nn.Linear(4096, classes))

    return make


def build(spec: ModelSpec, *, convolutions: tuple[int, ...], norm: bool) -> Network:
    """Five stages, each with its number of `convolutions` and a 2×2 pool, then dense layers; N×C×H×W →
    N×K.
    """
    if len(convolutions) != len(WIDTHS):
        raise UserError(
            f"convolutions is {list(convolutions)}; give one number for each of the {len(WIDTHS)} stages"
        )
    pooled = 3 if spec.small else 5
    stages: dict[str, nn.Module] = {}
    inputs = spec.input_shape[0]
    for i, (width, count) in enumerate(zip(WIDTHS, convolutions, strict=True)):
        layers = stage(inputs, width, convolutions=count, norm=norm)
        # Rounding up leaves 4×4 places of 28×28 pixels; where sides are even it changes nothing.
        pools = [nn.MaxPool2d(2, ceil_mode=spec.small)] if i < pooled else []
        stages[f"stage{i + 1}"] = nn.Sequential(*layers, *pools)
        inputs = width
    return Network(spec, stages, dense_layers(spec.classes))


# Layers with weights, convolutions a stage, parameters without and with batch norm, multiply-accumulates,
# receptive field, the paper's count, and its multiply-accumulates as He et al. give them.
VARIANTS = tuple(
    ModelSpec(
        f"vgg{layers}" + norm * "_bn",
        title=f"VGG-{layers}" + norm * " with batch norm",
        year=2014,
        paper="Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, "
        "2014",
        idea="small windows alone, stacked deep" + norm * ", with a batch norm after each",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"convolutions": convolutions, "norm": norm},
        parameters=parameters[norm],
        macs=macs,
        receptive_field=field,
        published_parameters=published,
        published_macs=published_macs,
        published_in="table 2" + ("; MACs in He et al. 2015, section 4.1" if published_macs else ""),
        deviations=norm * "batch norm (Ioffe & Szegedy 2015) is younger than the paper",
        small_form="the last two pools left out, the others round up: a place stands for 8 pixels instead "
        "of 32",
        rate=0.1 if norm else 0.01,
    )
    for norm in (False, True)
    for layers, convolutions, parameters, macs, field, published, published_macs in (
        (11, (1, 1, 2, 2, 2), (132_863_336, 132_868_840), 7_609_090_048, 150, 133e6, None),
        (13, (2, 2, 2, 2, 2), (133_047_848, 133_053_736), 11_308_466_176, 156, 133e6, None),
        (16, (2, 2, 3, 3, 3), (138_357_544, 138_365_992), 15_470_264_320, 212, 138e6, 15.3e9),
        (19, (2, 2, 4, 4, 4), (143_667_240, 143_678_248), 19_632_062_464, 268, 144e6, 19.6e9),
    )
)


def _renames(spec: ModelSpec) -> tuple[tuple[str, str], ...]:
    layers = 3 if spec.options["norm"] else 2
    convolutions = spec.options["convolutions"]
    assert isinstance(convolutions, tuple)
    lengths = {f"stage{i}": layers * count + 1 for i, count in enumerate(convolutions, 1)}
    dense = tuple((rf"^classifier\.{theirs}", f"head.{theirs + 2}") for theirs in (0, 3, 6))
    return *cut("features", lengths), *dense


KEY_MAPS = {f"torchvision, {spec.name}": _renames(spec) for spec in VARIANTS}
