"""What comes out of a method on real small networks: maps on the pixels, or the reason why there is none."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from convscope.core.errors import ShapeError, UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation import attribute
from convscope.explanation.attribute import explain_images, refusal
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import methods
from convscope.models.pytorch.custom_model import wrap_custom_model
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create

CLASSES = ("ant", "bee", "cow")
SIDE = 12
BY_GRADIENTS = ["cam", "grad_cam", "grad_cam_plus_plus", "layer_cam"]
CAMS = [*BY_GRADIENTS, "score_cam", "eigen_cam"]


def network(change=None, *, padding="zeros"):
    """Two convolutions, the mean of each map, one linear layer; `change` gets its layers to spoil them."""
    torch.manual_seed(0)
    first = nn.Conv2d(1, 4, 3, padding=1, padding_mode=padding)
    second = nn.Conv2d(4, 5, 3, padding=1, padding_mode=padding)
    module = nn.Sequential(
        first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3)
    )
    if change:
        with torch.no_grad():
            change(module)
    return module


def model_of(module, *, layer=None):
    wrapped = wrap_custom_model(module, input_shape=(1, SIDE, SIDE), classes=3)
    return ExplainedModel.of(TorchPredictor(wrapped, Preprocess(1, SIDE, SIDE), CLASSES), layer=layer)


def images(count=3):
    return np.random.default_rng(0).integers(0, 256, (count, SIDE, SIDE, 1), np.uint8)


def reasons(change, name, *, padding="zeros", layer=None, prepared=None, targets=(0, 1, 2)):
    model = model_of(network(change, padding=padding), layer=layer)
    prepared = images() if prepared is None else prepared
    found = explain_images(model, prepared, methods[name], targets=np.array(targets))
    assert found.heat_maps.shape == (3, SIDE, SIDE) and np.isfinite(found.heat_maps).all()
    for one, reason in zip(found.heat_maps, found.refused, strict=True):
        assert bool(one.any()) == (reason is None)
    return found.refused


@pytest.mark.parametrize("name", CAMS)
def test_a_sound_network_is_not_refused(name):
    assert reasons(lambda net: net[6].weight.abs_(), name) == (None, None, None)


def test_weights_below_zero_leave_nothing_behind_relu():
    def against_bee(net):
        net[6].weight.abs_()
        net[6].weight[1] *= -1

    refused = reasons(against_bee, "grad_cam")
    words = "every position of the layer speaks against 'bee', so ReLU leaves nothing; try occlusion"
    assert refused == (None, words, None)


@pytest.mark.parametrize(
    "name", ["grad_cam", "layer_cam", "score_cam"]
)  # Grad-CAM++ is made for maps from 0 up
def test_maps_below_zero_leave_nothing_behind_relu(name):
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    with torch.no_grad():
        module[0].bias.fill_(-9)
        module[3].weight.abs_()
    found = explain_images(model_of(module), images(), methods[name], targets=np.array([0, 1, 2]))
    for label, reason in zip(CLASSES, found.refused, strict=True):
        assert (
            reason
            == f"every position of the layer speaks against {label!r}, so ReLU leaves nothing; try occlusion"
        )


@pytest.mark.parametrize("name", ["grad_cam_plus_plus", "layer_cam"])
def test_gradients_below_zero_say_that_nothing_speaks_for_the_class(name):
    def against_bee(net):
        net[6].weight.abs_()
        net[6].weight[1] *= -1

    words = "every number of the map is 0: the layer's maps are blank, or none of them speaks for 'bee'"
    assert reasons(against_bee, name) == (None, words, None)


@pytest.mark.parametrize("name", BY_GRADIENTS)
def test_a_class_that_does_not_look_at_the_maps_says_so(name):
    def blind_for_cow(net):
        net[6].weight.abs_()
        net[6].weight[2] = 0

    refused = reasons(blind_for_cow, name)
    assert refused[:2] == (None, None)
    assert (
        refused[2]
        == "every number of the map is 0: the layer's maps are blank, or none of them speaks for 'cow'"
    )


@pytest.mark.parametrize("name", [*BY_GRADIENTS, "score_cam"])
def test_blank_maps_say_so(name):
    for reason in reasons(lambda net: net[2].bias.fill_(-1e4), name):
        assert reason and reason.startswith("every number of the map is 0: the layer's maps are blank")


@pytest.mark.parametrize("name", [*BY_GRADIENTS, "score_cam"])
@pytest.mark.parametrize("value", [0, 137, 255])
def test_maps_without_differences_are_constant(name, value):
    def bright(net):
        net[2].bias.fill_(0.5)
        net[6].weight.abs_()

    flat = np.full((3, SIDE, SIDE, 1), value, np.uint8)
    for label, reason in zip(CLASSES, reasons(bright, name, padding="circular", prepared=flat), strict=True):
        assert (
            reason == f"every position counts the same for {label!r}: the map is constant and shows nothing"
        )


def test_maps_without_differences_have_no_direction():
    flat = np.full((3, SIDE, SIDE, 1), 137, np.uint8)
    for reason in reasons(None, "eigen_cam", padding="circular", prepared=flat):
        assert reason == "every number of the map is 0: the layer gives the same numbers at every position"


@pytest.mark.parametrize("name", CAMS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
def test_what_is_not_finite_is_refused(name, value):
    def spoilt(net):
        net[0].weight.abs_()
        net[2].weight.abs_()
        net[2].weight[0] = value

    for reason in reasons(spoilt, name):
        assert reason == "the map holds NaN or infinity; the network's weights or its logits are not finite"


@pytest.mark.parametrize("name", [name for name in CAMS if name != "cam"])
def test_one_place_is_refused(name):
    for reason in reasons(None, name, layer="module.4"):
        assert reason == "the layer has one position only; name an earlier one that has more"


def test_only_some_of_a_batch_may_be_refused():
    mixed = images()
    mixed[1] = 0

    def unbiased(net):
        net[6].weight.abs_()
        net[0].bias.zero_()
        net[2].bias.zero_()

    refused = reasons(unbiased, "grad_cam", prepared=mixed)
    assert refused[0] is refused[2] is None and refused[1].startswith("every number of the map is 0")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 5])
def test_shapes_types_and_the_predicted_class(channels, count):
    torch.manual_seed(0)
    net = create("small_cnn", input_shape=(channels, 28, 20), classes=3)
    model = ExplainedModel.of(TorchPredictor(net, Preprocess(channels, 28, 20), CLASSES))
    prepared = np.random.default_rng(0).integers(0, 256, (count, 28, 20, channels), np.uint8)
    found = explain_images(model, prepared, methods["grad_cam"])
    predicted = model.predictor.predict(prepared).argmax(axis=1)
    assert found.heat_maps.shape == (count, 28, 20) and np.issubdtype(found.heat_maps.dtype, np.floating)
    assert np.array_equal(found.targets, predicted) and found.targets.dtype == np.int64
    chosen = explain_images(model, prepared, methods["grad_cam"], targets=predicted)
    assert np.array_equal(found.heat_maps, chosen.heat_maps) and len(found.refused) == count


def test_batches_change_no_map_and_are_told(monkeypatch):
    model, told = model_of(network()), []
    whole = explain_images(model, images(7), methods["layer_cam"])
    monkeypatch.setattr(attribute, "max_batch_size", lambda *_: 3)
    batches = explain_images(model, images(7), methods["layer_cam"], progress=lambda *at: told.append(at))
    np.testing.assert_allclose(batches.heat_maps, whole.heat_maps, rtol=1e-5, atol=1e-7)
    assert told == [("layer_cam", done, 7) for done in (3, 6, 7)] and batches.refused == whole.refused


def test_what_speaks_against_a_class_is_cut_off_where_the_authors_do():
    signed = dataclasses.replace(methods["grad_cam"], relu=False)
    model = model_of(network())
    both, cut = (
        explain_images(model, images(), method, targets=[0, 1, 2]) for method in (signed, methods["grad_cam"])
    )
    assert both.heat_maps.min() < 0 and cut.heat_maps.min() >= 0


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        ([0, 1], "3 images need 3 classes between 0 and 2; got"),
        ([0, 1, 3], r"got \[0, 1, 3\]"),
        ([-1, 0, 1], r"got \[-1, 0, 1\]"),
        ([[0], [1], [2]], "3 images need 3 classes"),
    ],
)
def test_classes_that_there_are_not(targets, words):
    with pytest.raises(UserError, match=words):
        explain_images(model_of(network()), images(), methods["grad_cam"], targets=np.array(targets))


@pytest.mark.parametrize(
    "prepared",
    [np.zeros((2, 9, 9, 1), np.uint8), np.zeros((2, SIDE, SIDE, 3), np.uint8), np.zeros((2, SIDE, SIDE, 1))],
)
def test_images_that_do_not_fit(prepared):
    with pytest.raises(ShapeError, match=r"explaining got .* it needs prepared images, uint8 N×12×12×1"):
        explain_images(model_of(network()), prepared, methods["grad_cam"], targets=np.array([0, 1]))


def test_the_network_keeps_its_mode():
    net = network().train()
    explain_images(model_of(net), images(), methods["score_cam"])
    assert all(layer.training for layer in net.modules())


def test_bad_class_names_pass_through():
    assert "'<b>$x=1$</b>'" in refusal(np.zeros((2, 2)), methods["grad_cam"], "<b>$x=1$</b>")
