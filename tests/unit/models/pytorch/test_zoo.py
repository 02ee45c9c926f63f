from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from convscope.core.errors import ShapeError, UserError
from convscope.models.pytorch.zoo import FAMILIES, build_from_spec, create, initialise
from convscope.models.variants.registry import variants


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


def test_every_family_has_a_page_and_every_page_a_family():
    assert {variants[name].family for name in variants} == set(FAMILIES)


def test_a_network_of_another_engine_alone(monkeypatch):
    monkeypatch.delitem(FAMILIES, "vgg")
    with pytest.raises(UserError, match="vgg11 is not built with PyTorch; take another"):
        create("vgg11")


def test_a_spec_is_built_as_it_says():
    spec = variants["small_cnn"].spec.with_changes(input_shape=(1, 8, 8), classes=3, head="linear")
    net = build_from_spec(spec)
    assert net.spec is spec and net(torch.zeros(2, 1, 8, 8)).shape == (2, 3)


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
