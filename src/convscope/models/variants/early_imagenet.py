"""Networks of ImageNet's first years: AlexNet, VGG, GoogLeNet and Inception-v3."""

from __future__ import annotations

from convscope.models.spec import ModelSpec

ALEXNET = (
    ModelSpec(
        "alexnet",
        title="AlexNet",
        year=2012,
        paper=(
            "Krizhevsky, Sutskever & Hinton, ImageNet Classification with Deep Convolutional Neural "
            "Networks, 2012"
        ),
        idea="LeNet's plan a thousand times larger, with ReLU, dropout and graphics cards",
        input_shape=(3, 224, 224),
        classes=1000,
        parameters=61_100_840,
        macs=714_188_480,
        receptive_field=195,
        published_parameters=60e6,
        published_in="abstract",
        deviations=(
            "one column with 64, 192, 384, 256 and 256 maps, as in the author's code of 2014 (his paper of "
            "that year has 384 in the fourth), no response normalisation, and dropout before each hidden "
            "layer, not behind it"
        ),
        rate=0.01,  # there is no norm
        small_form=(
            "a first convolution of stride 1 and no last pool: a place stands for 4 pixels instead of 32"
        ),
    ),
)

# Layers with weights, convolutions a stage, parameters without and with batch norm, multiply-accumulates,
# receptive field, the paper's count, and its multiply-accumulates as He et al. give them.
VGG = tuple(
    ModelSpec(
        f"vgg{layers}" + norm * "_bn",
        title=f"VGG-{layers}" + norm * " with batch norm",
        year=2014,
        paper=(
            "Simonyan & Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, 2014"
        ),
        idea="small windows alone, stacked deep" + norm * ", with a batch norm after each",
        input_shape=(3, 224, 224),
        classes=1000,
        options={"convolutions": convolutions, "norm": norm},
        parameters=parameters[norm],
        macs=macs,
        receptive_field=receptive_field,
        published_parameters=published,
        published_macs=published_macs,
        published_in="table 2" + ("; MACs in He et al. 2015, section 4.1" if published_macs else ""),
        deviations=norm * "batch norm (Ioffe & Szegedy 2015) is younger than the paper",
        small_form=(
            "the last two pools left out, the others round up: a place stands for 8 pixels instead of 32"
        ),
        rate=0.1 if norm else 0.01,
    )
    for norm in (False, True)
    for layers, convolutions, parameters, macs, receptive_field, published, published_macs in (
        (11, (1, 1, 2, 2, 2), (132_863_336, 132_868_840), 7_609_090_048, 150, 133e6, None),
        (13, (2, 2, 2, 2, 2), (133_047_848, 133_053_736), 11_308_466_176, 156, 133e6, None),
        (16, (2, 2, 3, 3, 3), (138_357_544, 138_365_992), 15_470_264_320, 212, 138e6, 15.3e9),
        (19, (2, 2, 4, 4, 4), (143_667_240, 143_678_248), 19_632_062_464, 268, 144e6, 19.6e9),
    )
)

GOOGLENET = (
    ModelSpec(
        "googlenet",
        title="GoogLeNet",
        year=2014,
        paper="Szegedy et al., Going Deeper with Convolutions, 2014",
        idea="windows of several sizes beside each other, made cheap by 1×1 convolutions",
        input_shape=(3, 224, 224),
        classes=1000,
        parameters=6_624_904,
        macs=1_498_376_192,
        receptive_field=379,
        published_parameters=6.8e6,
        published_macs=1.5e9,  # "multiply-adds" in section 1
        published_in="table 1, added up, and section 1",
        deviations=(
            "as torchvision has it: a batch norm after each convolution, which is younger than the paper, "
            "none over neighbouring maps, 3×3 in place of the 5×5 windows, 2×2 in place of 3×3 in the last "
            "pool that halves, 20 % dropout in place of 40 %, and auxiliary heads that take means of 4×4 "
            "parts of the maps"
        ),
        small_form="a stem without stride or pooling: a place stands for 8 pixels instead of 32",
    ),
)

INCEPTION_V3 = (
    ModelSpec(
        "inception_v3",
        title="Inception-v3",
        year=2015,
        paper="Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2015",
        idea="large windows taken apart into small and flat ones",
        # 299 pixels leave maps of 35×35, 17×17 and 8×8.
        input_shape=(3, 299, 299),
        classes=1000,
        parameters=23_834_568,
        macs=5_713_216_096,
        receptive_field=1311,
        published_parameters=25e6,
        published_macs=5e9,
        published_in="abstract: fewer than 25 million, and 5 billion",
        deviations=(
            "widths and order of the authors' released network, which the paper does not print in full (Tan "
            "& Le 2019, table 2, count it as we do: 24 M and 5.7 G), with torchvision's dropout of 50 % in "
            "place of its 20 %"
        ),
        small_form="a stem without strides or pools: a place stands for 4 pixels instead of 32",
    ),
)
