"""Networks for small images that a first course begins with: LeNet-5 in two forms, and seven of our own."""

from __future__ import annotations

from dataclasses import replace

from convscope.models.spec import ModelSpec

LECUN = "LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998"
BATCH_NORM = "Ioffe & Szegedy, Batch Normalization, 2015"

LENET = (
    ModelSpec(
        "lenet5",
        title="LeNet-5",
        year=1998,
        paper=LECUN,
        idea="shared weights, local fields and pooling, learned end to end",
        input_shape=(1, 28, 28),
        options={"activation": "relu", "pooling": "max"},
        parameters=61_706,
        macs=416_520,
        receptive_field=16,
        # The round figure is exact: lenet5_1998 has as many.
        published_parameters=60_000,
        published_in="section II-B",
        deviations=(
            "ReLU, max pooling without weights, full connections in C3, linear logits; "
            "the paper's has exactly 60,000 parameters: lenet5_1998"
        ),
    ),
)

LENET_1998 = (
    ModelSpec(
        "lenet5_1998",
        title="LeNet-5 of 1998",
        year=1998,
        paper=LECUN,
        idea=(
            "as published: partial connections, pooling that learns, and the distance to fixed codes as the "
            "answer"
        ),
        # 28×28 digits in the middle of a field of 32×32.
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

# The networks from here on are of no paper, so their counts have nothing beside them.
SIMPLE_CNN = (
    ModelSpec(
        "simple_cnn",
        title="Simple CNN",
        idea="the bare pattern: convolve, keep what is positive, halve, and read the answer off the maps",
        input_shape=(1, 28, 28),
        # 5×5 windows, so that two stages see 16 of 28 pixels: most of a digit.
        options={"widths": (16, 32), "kernel": (5,), "depth": 1, "pooling": "max"},
        parameters=28_938,
        macs=2_838_080,
        receptive_field=16,
    ),
)

SMALL_CNN = (
    ModelSpec(
        "small_cnn",
        title="Small CNN",
        year=2015,
        paper=f"{BATCH_NORM} (the order of its layers; the network is a teaching one)",
        idea=(
            "two stages with batch norm and one hidden layer: the first network that learns CIFAR-10 quickly"
        ),
        input_shape=(3, 32, 32),
        options={
            "widths": (32, 64),
            "kernel": (3,),
            "depth": 1,
            "pooling": "max",
            "hidden": 128,
            "dropout": 0.2,
        },
        parameters=545_194,
        macs=6_128_896,
        receptive_field=10,
    ),
)

DEEPER_CNN = (
    ModelSpec(
        "deeper_cnn",
        title="Deeper CNN",
        idea="a stem and three stages that double their width as the image halves, then a global average",
        input_shape=(3, 32, 32),
        options={"stem": 64, "widths": (64, 128, 256), "kernel": (3,), "depth": 1, "pooling": "max"},
        parameters=410_826,
        macs=77_269_504,
        receptive_field=24,
    ),
)

FASHION_CNN = (
    ModelSpec(
        "fashion_cnn",
        title="Fashion CNN",
        idea="norm after ReLU, and a wide hidden layer held in check by dropout",
        input_shape=(1, 28, 28),
        options={"widths": (32, 64), "kernel": 3, "pooling": "max", "hidden": 256, "dropout": 0.5},
        parameters=824_650,
        macs=4_643_840,
        receptive_field=10,
    ),
)

_LAB_CNN = ModelSpec(
    "lab_cnn",
    title="Lab CNN",
    idea="three plain stages and a large hidden layer: enough room to overfit, and dropout against it",
    input_shape=(3, 32, 32),
    options={"widths": (32, 64, 128), "kernel": (3,), "pooling": "max", "hidden": 512, "dropout": 0.5},
    parameters=1_147_466,
    macs=11_375_616,
    receptive_field=22,
)

LAB_CNN = (
    _LAB_CNN,
    # The pair differs in batch norm alone, so that a course can show what it does.
    replace(
        _LAB_CNN,
        name="lab_cnn_bn",
        title="Lab CNN with batch norm",
        paper=BATCH_NORM,
        year=2015,
        idea="lab_cnn with a batch norm after each convolution, and nothing else changed",
        parameters=1_147_690,
    ),
)
