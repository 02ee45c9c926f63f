from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants

# Windows and the pixels between two of their neighbours, by hand: every convolution adds 2 of its steps,
# every pool 1.
FIELDS = {"vgg11": 150, "vgg13": 156, "vgg16": 212, "vgg19": 268}


def on_meta(name, side=224, **changes):
    with torch.device("meta"):
        return create(name, input_shape=(3, side, side), **changes).eval()


@pytest.mark.parametrize("norm", ["", "_bn"])
@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_layers_with_weights_are_as_many_as_the_name_says(depth, norm):
    layers = [m for m in on_meta(f"vgg{depth}{norm}").modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth
    assert all(m.kernel_size == (3, 3) for m in layers if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_counts_follow_from_the_table(depth):
    """Table 1 by columns, then 25,088·4,096, 4,096² and 4,096·1,000; a norm has two numbers a map."""
    spec, with_norm = variants[f"vgg{depth}"].spec, variants[f"vgg{depth}_bn"].spec
    total, maps, inputs = 0, 0, 3
    for width, count in zip((64, 128, 256, 512, 512), spec.options["convolutions"], strict=True):
        for _ in range(count):
            total += 9 * inputs * width + width
            maps, inputs = maps + width, width
    total += 512 * 49 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 1000 + 1000
    assert spec.parameters == total and with_norm.parameters == total + 2 * maps
    assert abs(total / spec.published_parameters - 1) < 0.004  # rounded to millions


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_receptive_fields_by_the_formula(depth):
    spec = variants[f"vgg{depth}"].spec
    field, step = 1, 1
    for count in spec.options["convolutions"]:
        field, step = field + 2 * count * step + step, 2 * step
    assert field == spec.receptive_field == variants[f"vgg{depth}_bn"].spec.receptive_field


def test_the_field_of_vgg16_is_212_pixels():
    assert summarise(on_meta("vgg16")).receptive_field == (212, 212)


@pytest.mark.parametrize(
    ("side", "sides"),
    [(224, [112, 56, 28, 14, 7]), (64, [32, 16, 8, 8, 8]), (32, [16, 8, 4, 4, 4]), (28, [14, 7, 4, 4, 4])],
)
def test_maps_by_stage(side, sides):
    maps = on_meta("vgg11_bn", side).features(torch.zeros(1, 3, side, side, device="meta"))
    assert [m.shape[2] for m in maps.values()] == sides
    assert [m.shape[1] for m in maps.values()] == [64, 128, 256, 512, 512]


def test_larger_images_are_averaged_down_to_the_positions_of_the_paper():
    for side, numbers in ((320, 512 * 49), (64, 512 * 49), (32, 512 * 16)):
        head = on_meta("vgg11", side).head
        assert [m.in_features for m in head if isinstance(m, nn.Linear)] == [numbers, 4096, 4096]


def test_a_norm_stands_between_convolution_and_relu():
    plain, norm = (on_meta(name).stages["stage3"] for name in ("vgg11", "vgg11_bn"))
    assert [type(m).__name__ for m in plain] == ["Conv2d", "ReLU"] * 2 + ["MaxPool2d"]
    assert [type(m).__name__ for m in norm] == ["Conv2d", "BatchNorm2d", "ReLU"] * 2 + ["MaxPool2d"]


def test_dropout_stands_behind_each_hidden_layer():
    kinds = [type(m).__name__ for m in on_meta("vgg11", 32).head]
    assert kinds == ["AdaptiveAvgPool2d", "Flatten", *["Linear", "ReLU", "Dropout"] * 2, "Linear"]


@pytest.mark.parametrize("convolutions", [[1], [1, 1, 2, 2], [1, 1, 1, 1, 1, 1]])
def test_each_stage_needs_its_number(convolutions):
    with pytest.raises(UserError, match="give one number for each of the 5 stages"):
        create("vgg11", options={"convolutions": convolutions})


@pytest.mark.parametrize(
    ("options", "says"), [({"convolutions": 0}, "above 0"), ({"norm": 1}, "true or false")]
)
def test_options_of_another_kind_are_refused(options, says):
    with pytest.raises(UserError, match=says):
        create("vgg11", options=options)


def test_the_options_are_the_table():
    """The batch norm and the depth of one variant turn it into another."""
    thirteen = on_meta("vgg11", 32, options={"convolutions": [2, 2, 2, 2, 2], "norm": True})
    shapes = [p.shape for p in on_meta("vgg13_bn", 32).parameters()]
    assert [p.shape for p in thirteen.parameters()] == shapes
