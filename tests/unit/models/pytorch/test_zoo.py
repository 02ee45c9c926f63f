from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from convscope.core.errors import ShapeError, UserError
from convscope.models.pytorch.zoo import create, initialise, networks


def test_the_list():
    assert list(networks) == [
        "lenet5",
        "lenet5_1998",
        "simple_cnn",
        "small_cnn",
        "deeper_cnn",
        "fashion_cnn",
        "lab_cnn",
        "lab_cnn_bn",
        "resnet20",
        "resnet32",
        "resnet44",
        "resnet56",
        "resnet110",
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext50_32x4d",
        "wide_resnet50_2",
        "seresnet50",
        "cbam_resnet50",
        "preact_resnet18",
        "wrn_28_10",
        "alexnet",
        "vgg11",
        "vgg13",
        "vgg16",
        "vgg19",
        "vgg11_bn",
        "vgg13_bn",
        "vgg16_bn",
        "vgg19_bn",
        "googlenet",
        "inception_v3",
        "densenet121",
        "densenet161",
        "densenet169",
        "densenet201",
        "squeezenet1_0",
        "squeezenet1_1",
        "mobilenet_v1",
        "mobilenet_v2",
        "mobilenet_v3_large",
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
        "shufflenet_v2_x1_0",
        "shufflenet_v2_x1_5",
        "shufflenet_v2_x2_0",
        "efficientnet_b0",
        "efficientnet_v2_s",
        "convnext_tiny",
    ]


@pytest.mark.parametrize(
    ("wrong", "right"), [("resnet_20", "resnet20"), ("smallcnn", "small_cnn"), ("LeNet", "lenet5")]
)
def test_an_unknown_network_names_the_nearest(wrong, right):
    with pytest.raises(UserError, match=f"no network '{wrong}'; did you mean '{right}'"):
        create(wrong)


def test_a_file_is_never_run_by_name(tmp_path):
    trap = tmp_path / "net.py"
    trap.write_text("raise SystemExit('it was run')")
    with pytest.raises(UserError, match="there is no network"):
        create(f"{trap}:Net")


def test_create_takes_the_designed_form_where_nothing_is_said():
    net = create("lenet5")
    assert (net.spec.input_shape, net.spec.classes) == ((1, 28, 28), 10)


def test_too_small_an_image_says_what_fits():
    with pytest.raises(
        ShapeError, match=r"small_cnn cannot be built for 3×3×32 images: layer stage2\.2 .* takes is 4×4"
    ):
        create("small_cnn", input_shape=(3, 3, 32))


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("simple_cnn", {"pooling": "mean"}, "no pooling 'mean'"),
        ("simple_cnn", {"kernel": 4}, "kernel 4 is not odd"),
        ("simple_cnn", {"depth": 0}, "simple_cnn's option depth is 0; give a whole number above 0"),
        ("small_cnn", {"dropout": 1}, "dropout is 1"),
        ("small_cnn", {"widht": [3]}, "did you mean 'widths'"),
        ("lenet5", {"activation": "rely"}, "did you mean 'relu'"),
        ("fashion_cnn", {"hidden": -1}, "hidden is -1"),
        ("deeper_cnn", {"stem": 0}, "deeper_cnn's option stem is 0"),
        ("deeper_cnn", {"stem": -1}, "deeper_cnn's option stem is -1"),
        ("resnet20", {"depth": 21}, r"depth 21 is not 6n \+ 2; for 3 stages give 8, 14, 20"),
        ("resnet20", {"depth": 2}, r"depth 2 is not 6n \+ 2"),
        ("resnet20", {"depth": -4}, "depth is -4; give a whole number above 0"),
        ("resnet20", {"widths": [32, 16, 8]}, "shrink"),
    ],
)
def test_options_that_make_no_sense(name, options, says):
    with pytest.raises(UserError, match=says):
        create(name, options=options)


@pytest.mark.parametrize(
    ("name", "options"),
    [("mobilenet_v1", {"width": 1e12}), ("simple_cnn", {"widths": [65_536] * 2, "kernel": 65_535})],
)
def test_what_no_memory_holds_is_told_in_words(name, options):
    with pytest.raises(
        UserError, match=f"{name} as it was asked for does not fit into memory; make it narrower"
    ):
        create(name, options=options)


def test_the_seed_decides_the_weights():
    def weights(seed):
        torch.manual_seed(seed)
        return [p.detach().clone() for p in create("small_cnn").parameters()]

    assert all(torch.equal(a, b) for a, b in zip(weights(3), weights(3), strict=True))
    assert not torch.equal(weights(3)[0], weights(4)[0])


def test_convolutions_start_as_he_says():
    """Standard deviation sqrt(2 / (k·k·outputs)): fan-out, within five standard errors of it, and biases
    0."""
    torch.manual_seed(0)
    layer = nn.Conv2d(32, 64, 3)
    initialise(nn.Sequential(layer))
    expected = math.sqrt(2 / (3 * 3 * 64))
    n = layer.weight.numel()
    assert abs(layer.weight.std().item() - expected) < 5 * expected / math.sqrt(2 * n)
    assert abs(layer.weight.mean().item()) < 5 * expected / math.sqrt(n)
    assert layer.bias.abs().sum() == 0
