"""Networks made for little memory, work or time: SqueezeNet, the MobileNets, ShuffleNet V2, EfficientNet."""

from __future__ import annotations

from convscope.models.spec import ModelSpec

SMALL_STEM = "stem and second stage without stride: a place stands for 8 pixels instead of 32"

_SQUEEZENET = (
    "Iandola et al., SqueezeNet: AlexNet-Level Accuracy with 50x Fewer Parameters and <0.5MB Model Size, 2016"
)
_SQUEEZENET_SMALL = "a stem without stride or pooling: a place stands for 4 pixels instead of 16"

# At the usual rate of 0.1 the ReLU on their logits goes silent.
SQUEEZENET = (
    ModelSpec(
        "squeezenet1_0",
        title="SqueezeNet 1.0",
        year=2016,
        paper=_SQUEEZENET,
        idea="squeeze into few maps before 3×3 kernels, and pool late",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"stem": 96, "stem_kernel": 7, "fires": (3, 4, 1)},
        parameters=1_248_424,
        macs=818_924_576,
        receptive_field=155,
        # Exact: table 1 adds up to it.
        published_parameters=1_248_424,
        published_in="table 1",
        small_form=_SQUEEZENET_SMALL,
        rate=0.01,
    ),
    ModelSpec(
        "squeezenet1_1",
        title="SqueezeNet 1.1",
        year=2016,
        paper=_SQUEEZENET,
        idea="SqueezeNet with a smaller stem and earlier pools",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"stem": 64, "stem_kernel": 3, "fires": (2, 2, 4)},
        parameters=1_235_496,
        macs=349_151_936,
        receptive_field=207,
        deviations="the authors' own second version, from their repository and not from the paper",
        small_form=_SQUEEZENET_SMALL,
        rate=0.01,
    ),
)

MOBILENET_V1 = (
    ModelSpec(
        "mobilenet_v1",
        title="MobileNet V1",
        year=2017,
        paper=(
            "Howard et al., MobileNets: Efficient Convolutional Neural Networks for Mobile Vision "
            "Applications, 2017"
        ),
        idea="look at the neighbourhood in each map by itself, then mix the maps: a ninth of the work",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"width": 1.0},
        parameters=4_231_976,
        macs=568_740_352,
        receptive_field=315,
        published_parameters=4.2e6,
        published_macs=569e6,  # "mult-adds", as here
        published_in="table 4",
        deviations="ReLU stops at 6, as in the authors' own code",
        small_form=SMALL_STEM,
    ),
)

MOBILENET_V2 = (
    ModelSpec(
        "mobilenet_v2",
        title="MobileNet V2",
        year=2018,
        paper="Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018",
        idea="pass few maps from block to block, and be wide inside, where it is cheap",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"width": 1.0, "dropout": 0.2},
        parameters=3_504_872,
        macs=300_774_272,
        receptive_field=491,
        published_parameters=3.4e6,
        published_macs=300e6,
        published_in="table 4",
        deviations=(
            "34,112 numbers of batch norm are counted, too; without them 3.47 M, where the paper writes 3.4"
        ),
        small_form=SMALL_STEM,
    ),
)

# Size, parameters, multiply-accumulates, receptive field, and the paper's counts.
MOBILENET_V3 = tuple(
    ModelSpec(
        f"mobilenet_v3_{size}",
        title=f"MobileNet V3 {size}",
        year=2019,
        paper="Howard et al., Searching for MobileNetV3, 2019",
        idea="blocks whose form a search on real telephones found",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"size": size, "dropout": 0.2},
        parameters=parameters,
        macs=macs,
        receptive_field=receptive_field,
        published_parameters=published_parameters,
        published_macs=published_macs,
        published_in="table 3 of the last version",
        deviations=(
            "no squeeze-and-excite behind the last 1×1, which table 2 marks" if size == "small" else ""
        ),
        small_form=(
            "stem and first stage that halves without stride: a place stands for 8 pixels instead of 32"
        ),
    )
    for size, parameters, macs, receptive_field, published_parameters, published_macs in (
        ("large", 5_483_032, 216_589_760, 595, 5.4e6, 219e6),
        ("small", 2_542_856, 56_510_400, 639, 2.5e6, 56e6),
    )
)

# Width, maps of stages 2 to 4, maps of the last convolution, parameters, multiply-accumulates, and the
# paper's counts.
SHUFFLENET_V2 = tuple(
    ModelSpec(
        f"shufflenet_v2_x{width}",
        title=f"ShuffleNet V2 ×{width.replace('_', '.')}",
        year=2018,
        paper="Ma et al., ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design, 2018",
        idea="work on half of the maps, leave the other half, shuffle",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"channels": channels, "last": last},
        parameters=parameters,
        macs=macs,
        receptive_field=527,  # width changes no window
        published_parameters=published_parameters,
        published_macs=published_macs,
        published_in="table 5",
        small_form="stem without stride or pooling: a place stands for 8 pixels instead of 32",
    )
    for width, channels, last, parameters, macs, published_parameters, published_macs in (
        ("0_5", (48, 96, 192), 1024, 1_366_792, 40_476_448, 1.4e6, 41e6),
        ("1_0", (116, 232, 464), 1024, 2_278_604, 144_907_992, 2.3e6, 146e6),
        ("1_5", (176, 352, 704), 1024, 3_503_624, 295_759_392, 3.5e6, 299e6),
        ("2_0", (244, 488, 976), 2048, 7_393_996, 583_253_464, 7.4e6, 591e6),
    )
)

EFFICIENTNET = (
    ModelSpec(
        "efficientnet_b0",
        title="EfficientNet-B0",
        year=2019,
        paper="Tan & Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, 2019",
        idea="a small network from a search, to be grown in depth, width and image size together",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"version": "b0", "dropout": 0.2, "stochastic_depth": 0.2},
        parameters=5_288_548,
        macs=385_814_752,
        receptive_field=851,
        published_parameters=5.3e6,
        published_macs=0.39e9,
        published_in="table 2",
        small_form=SMALL_STEM,
    ),
    ModelSpec(
        "efficientnet_v2_s",
        title="EfficientNetV2-S",
        year=2021,
        paper="Tan & Le, EfficientNetV2: Smaller Models and Faster Training, 2021",
        idea="found for the time that training takes: ordinary convolutions early, depthwise ones late",
        # Trained at 300 pixels and evaluated at 384, where its figures are from.
        input_shape=(3, 384, 384),
        classes=1000,
        options={"version": "v2_s", "dropout": 0.2, "stochastic_depth": 0.2},
        parameters=21_458_488,
        macs=8_365_617_152,
        receptive_field=1487,
        published_parameters=21.5e6,
        published_macs=8.4e9,
        published_in="the authors' repository",
        small_form=SMALL_STEM,
    ),
)
