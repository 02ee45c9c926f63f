"""Networks whose blocks add to what they got, or put it beside: ResNets, DenseNets and ConvNeXt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convscope.models.spec import ModelSpec, Option

HE_2015 = "He et al., Deep Residual Learning for Image Recognition, 2015"
WIDE = "Zagoruyko & Komodakis, Wide Residual Networks, 2016"
SMALL_STEM = "3×3 stem without stride or pooling: a place stands for 8 pixels instead of 32"

# Depth: parameters, multiply-accumulates, receptive field, and the paper's count in millions (table 6).
RESNET_CIFAR = tuple(
    ModelSpec(
        f"resnet{depth}",
        title=f"ResNet-{depth} for small images",
        year=2015,
        paper=HE_2015,
        idea="blocks learn a change to their input, so that very deep networks train",
        input_shape=(3, 32, 32),
        options={"depth": depth, "widths": (16, 32, 64)},
        parameters=parameters,
        macs=macs,
        receptive_field=receptive_field,
        published_parameters=published,
        published_in="table 6",
    )
    for depth, parameters, macs, receptive_field, published in (
        (20, 269_722, 40_551_040, 81, 0.27e6),
        (32, 464_154, 68_862_592, 137, 0.46e6),
        (44, 658_586, 97_174_144, 193, 0.66e6),
        (56, 853_018, 125_485_696, 249, 0.85e6),
        (110, 1_727_962, 252_887_680, 501, 1.7e6),
    )
)

# Where the figures of the ResNets for photographs stand: paper, place in it, and the idea.
HE = (HE_2015, "table 1", "blocks learn a change to their input, so that very deep networks train")
XIE = (
    "Xie et al., Aggregated Residual Transformations for Deep Neural Networks, 2017",
    "table 1",
    "a bottleneck's 3×3 convolution is 32 narrow ones side by side, and wider for it",
)
WRN = (WIDE, "table 8", "wider 3×3 convolutions, not more depth")
HU = (
    "Hu et al., Squeeze-and-Excitation Networks, 2018",
    "table 13 of the version of 2019",
    "each map is weighed by what all of them hold",
)
WOO = (
    "Woo et al., CBAM: Convolutional Block Attention Module, 2018",
    "table 4",
    "maps are weighed, then places",
)

COUNTED = ("parameters", "macs", "receptive_field", "published_parameters", "published_macs")
COUNTS = {
    "resnet18": (11_689_512, 1_814_073_344, 435, None, 1.8e9),
    "resnet34": (21_797_672, 3_663_761_408, 899, None, 3.6e9),
    "resnet50": (25_557_032, 4_089_184_256, 427, None, 3.8e9),
    "resnet101": (44_549_160, 7_801_405_440, 971, None, 7.6e9),
    "resnet152": (60_192_808, 11_513_626_624, 1451, None, 11.3e9),
    "resnext50_32x4d": (25_028_904, 4_230_479_872, 427, 25.0e6, 4.2e9),
    "wide_resnet50_2": (68_883_240, 11_398_021_120, 427, 68.9e6, None),
    "seresnet50": (28_088_024, 4_091_699_200, 427, 28.1e6, 3.87e9),
    "cbam_resnet50": (28_089_624, 4_095_573_110, 1843, 28.09e6, 3.864e9),
}
STRIDE = (
    "stride in the 3×3 of a bottleneck, as torchvision has it; the paper's figure is with it in the first 1×1"
)
GATES = {
    "seresnet50": ", and gates have biases, as in trained weights, which the paper left out for that table",
    "cbam_resnet50": ", and a norm follows a gate's 7×7 convolution, as in the authors' code",
}


def _resnet(name: str, title: str, source: tuple[str, str, str], options: Mapping[str, Option]) -> ModelSpec:
    """A row of the table below; `source` is paper, place and idea."""
    paper, place, idea = source
    # Xie and Zagoruyko & Komodakis count with the stride in the 3×3 themselves.
    moved = "groups" in options and source in (HE, HU, WOO)
    counts: dict[str, Any] = dict(zip(COUNTED, COUNTS[name], strict=True))
    return ModelSpec(
        name,
        title,
        int(paper[-4:]),
        paper,
        idea,
        input_shape=(3, 224, 224),
        classes=1000,
        options=options,
        published_in=place,
        deviations=STRIDE + GATES.get(name, "") if moved else "",
        small_form=SMALL_STEM,
        **counts,
    )


BASIC: dict[str, Option] = {"block": "basic", "attention": "none"}
DEEP = BASIC | {"block": "bottleneck", "groups": 1, "group_width": 64, "stride_in": "3x3"}
# The blocks of 50 layers, which the variants below change one thing of.
FIFTY = DEEP | {"blocks": (3, 4, 6, 3)}

RESNET = (
    _resnet("resnet18", "ResNet-18", HE, BASIC | {"blocks": (2, 2, 2, 2)}),
    _resnet("resnet34", "ResNet-34", HE, BASIC | {"blocks": (3, 4, 6, 3)}),
    _resnet("resnet50", "ResNet-50", HE, FIFTY),
    _resnet("resnet101", "ResNet-101", HE, DEEP | {"blocks": (3, 4, 23, 3)}),
    _resnet("resnet152", "ResNet-152", HE, DEEP | {"blocks": (3, 8, 36, 3)}),
    _resnet("resnext50_32x4d", "ResNeXt-50 32×4d", XIE, FIFTY | {"groups": 32, "group_width": 4}),
    _resnet("wide_resnet50_2", "Wide ResNet-50-2", WRN, FIFTY | {"group_width": 128}),
    _resnet("seresnet50", "SE-ResNet-50", HU, FIFTY | {"attention": "se"}),
    _resnet("cbam_resnet50", "CBAM-ResNet-50", WOO, FIFTY | {"attention": "cbam"}),
)

PREACT_RESNET = (
    ModelSpec(
        "preact_resnet18",
        title="Pre-activation ResNet-18",
        year=2016,
        paper="He et al., Identity Mappings in Deep Residual Networks, 2016",
        idea="norm and ReLU before each convolution leave the shortcuts free from end to end",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"blocks": (2, 2, 2, 2), "channels": (64, 64, 128, 256, 512), "dropout": 0.0},
        parameters=11_687_720,
        macs=1_814_073_344,
        receptive_field=435,
        # There is no such network in the paper, so there is no published figure.
        deviations=(
            "18 layers, where the paper has over 100; the first shortcut takes the stem's maps before a ReLU"
        ),
        small_form=SMALL_STEM,
    ),
    ModelSpec(
        "wrn_28_10",
        title="Wide ResNet-28-10",
        year=2016,
        paper=WIDE,
        idea="few wide blocks in place of many thin ones",
        input_shape=(3, 32, 32),
        options={"blocks": (4, 4, 4), "channels": (16, 160, 320, 640), "dropout": 0.0},
        parameters=36_479_194,
        macs=5_243_328_768,
        receptive_field=109,
        published_parameters=36.5e6,
        published_in="table 4",
    ),
)

# Depth, new maps a layer, layers a block, parameters, multiply-accumulates, receptive field, and the paper's
# count.
DENSENET = tuple(
    ModelSpec(
        f"densenet{depth}",
        title=f"DenseNet-{depth}",
        year=2016,
        paper="Huang et al., Densely Connected Convolutional Networks, 2016",
        idea="every layer sees the maps of all layers before it and adds a few",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"growth": growth, "blocks": blocks},
        parameters=parameters,
        macs=macs,
        receptive_field=receptive_field,
        published_parameters=published,
        published_in="section 4.4" if published else "",
        deviations=(
            "from the authors' repository; the paper's networks for photographs have k = 32"
            if growth == 48
            else ""
        ),
        small_form=(
            "a stem without stride or pooling, and transitions that round up: a place stands for 8 pixels "
            "instead of 32"
        ),
    )
    for depth, growth, blocks, parameters, macs, receptive_field, published in (
        (121, 32, (6, 12, 24, 16), 7_978_856, 2_834_161_664, 2071, None),
        (161, 48, (6, 12, 36, 24), 28_681_000, 7_727_907_072, 2967, None),
        (169, 32, (6, 12, 32, 32), 14_149_480, 3_359_843_328, 3351, None),
        (201, 32, (6, 12, 48, 32), 20_013_928, 4_291_365_888, 3863, 20e6),
    )
)

CONVNEXT = (
    ModelSpec(
        "convnext_tiny",
        title="ConvNeXt-T",
        year=2022,
        paper="Liu et al., A ConvNet for the 2020s, 2022",
        idea=(
            "a ResNet brought up to the habits of transformers: patches, 7×7 depthwise kernels, layer norm, "
            "GELU"
        ),
        input_shape=(3, 224, 224),
        classes=1000,
        options={"channels": (96, 192, 384, 768), "blocks": (3, 3, 9, 3), "stochastic_depth": 0.1},
        parameters=28_589_128,
        macs=4_455_531_264,
        receptive_field=1688,
        published_parameters=29e6,
        published_macs=4.5e9,  # the paper says FLOPs and means these
        published_in="table 1",
        small_form=(
            "4×4 stem without stride on a border of 4 pixels: a place stands for 8 pixels instead of 32"
        ),
    ),
)
