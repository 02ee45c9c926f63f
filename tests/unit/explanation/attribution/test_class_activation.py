"""CAM only where it is exact, and its mean is the logit; Score-CAM beside its formula, a mask at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribution import class_activation
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import methods
from convscope.models.pytorch.custom_model import wrap_custom_model
from convscope.models.pytorch.heads import Standardise
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create

CAMS = ["cam", "grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam", "eigen_cam"]


def body(channels=1):
    return [nn.Conv2d(channels, 6, 3), nn.BatchNorm2d(6), nn.ReLU()]


class MeanByHand(nn.Module):
    """No pooling layer to be seen, and a linear layer that is a product."""

    def __init__(self):
        super().__init__()
        self.body, self.weight = nn.Sequential(*body()), nn.Parameter(torch.randn(6, 3))

    def forward(self, x):
        return self.body(x).sum(dim=(2, 3)) @ self.weight / 7 + 0.5


def averaged(*head, first=()):
    return nn.Sequential(*body(), *first, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head)


def standardised():
    norm = Standardise(6)
    norm.measure(torch.randn(50, 6) * 3 + 1)
    return averaged(norm, nn.Linear(6, 3))


FITTING = {
    "average and linear": lambda: averaged(nn.Linear(6, 3)),
    "with dropout": lambda: averaged(nn.Dropout(0.5), nn.Linear(6, 3)),
    "two linear": lambda: averaged(nn.Linear(6, 4), nn.Linear(4, 3)),
    "batch norm of the means": lambda: averaged(nn.BatchNorm1d(6), nn.Linear(6, 3)),
    "standardised": standardised,
    "by hand": MeanByHand,
    "one class a map": lambda: nn.Sequential(
        *body(), nn.Conv2d(6, 3, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ),
    "a second ReLU, in place": lambda: averaged(nn.Linear(6, 3), first=[nn.ReLU(inplace=True)]),
}
OTHERS = {
    "flattened": lambda: nn.Sequential(*body(), nn.Flatten(), nn.Linear(216, 3)),
    "hidden layer": lambda: averaged(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)),
    "hidden layer without biases": lambda: averaged(
        nn.Linear(6, 32, bias=False), nn.ReLU(), nn.Linear(32, 3, bias=False)
    ),
    "maximum": lambda: nn.Sequential(*body(), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(6, 3)),
    "bounded": lambda: averaged(nn.Linear(6, 3), nn.Tanh()),
    "a norm of the means": lambda: averaged(nn.LayerNorm(6), nn.Linear(6, 3)),
    "mean of a part": lambda: nn.Sequential(*body(), nn.AvgPool2d(5), nn.Flatten(), nn.Linear(6, 3)),
    "zoo": lambda: create("small_cnn", input_shape=(1, 8, 8), classes=3),
}


def model_of(module, channels=1, *, side=8, layer=None, classes=("ant", "bee", "cow")):
    network = wrap_custom_model(module, input_shape=(channels, side, side), classes=len(classes))
    preprocess = Preprocess(channels, side, side, "crop", (0.4,) * channels, (0.25,) * channels)
    return ExplainedModel.of(TorchPredictor(network, preprocess, classes), layer=layer)


def images(count=3, channels=1, side=8):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, channels), np.uint8)


@pytest.mark.parametrize("name", FITTING)
def test_the_mean_of_cam_is_the_logit_less_that_of_blank_maps(name):
    torch.manual_seed(0)
    module = FITTING[name]().double()
    model, targets = model_of(module), np.array([0, 1, 2])
    found = class_activation.cam(model, images(), targets)
    layer, x = model.shown_layer, model.inputs(images())
    found_maps, logits = model.inside().feature_maps(x, [layer])
    maps = found_maps[layer]
    blank = model.inside().logits(x, (layer, np.zeros_like(maps)))
    expected = (logits - blank)[range(3), targets]
    np.testing.assert_allclose(found.mean(axis=(1, 2)), expected, rtol=1e-9)
    assert found.shape == maps[:, 0].shape and (np.ptp(found, axis=(1, 2)) > 0).all()
    grad = methods["grad_cam"].compute(model, images(), targets)
    np.testing.assert_allclose(found, grad * found[0].size, rtol=1e-9)  # as Selvaraju and others show


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deeper_cnn", "resnet20", "mobilenet_v2"])
@pytest.mark.parametrize("head", ["own", "linear"])
def test_cam_takes_the_zoo_with_both_heads_in_float32(name, head):
    torch.manual_seed(0)
    network = create(name, input_shape=(3, 32, 32), classes=3, head=head)
    model = ExplainedModel.of(TorchPredictor(network, Preprocess(3, 32, 32), ("ant", "bee", "cow")))
    found = class_activation.cam(model, images(2, 3, 32), np.array([2, 0]))
    np.testing.assert_allclose(
        found,
        found[0].size * methods["grad_cam"].compute(model, images(2, 3, 32), np.array([2, 0])),
        rtol=1e-3,
    )


@pytest.mark.parametrize("name", OTHERS)
def test_cam_refuses_a_network_that_it_is_not_exact_for(name):
    torch.manual_seed(1)
    layer = "module.2" if name == "mean of a part" else None
    with pytest.raises(
        UserError, match=r"CAM needs a network that reads the mean of each map .* use grad_cam"
    ):
        class_activation.cam(model_of(OTHERS[name](), layer=layer), images(), np.array([0, 1, 2]))


def score_cam_by_loops(model, prepared, targets):
    """softmax over channels of the logit of each masked image, one forward pass each."""
    network, x = model.predictor.network.eval(), model.inputs(prepared)
    maps = class_activation.layer_maps(model, x)
    x = torch.from_numpy(x).double()
    found = np.zeros((len(x), *maps.shape[2:]))
    for i, one in enumerate(torch.from_numpy(maps)):
        scores = []
        for channel in one:
            mask = F.interpolate(channel[None, None], size=x.shape[2:], mode="bilinear", align_corners=True)
            extent = mask.max() - mask.min()
            mask = (mask - mask.min()) / extent if extent else 0 * mask
            with torch.no_grad():
                scores.append(float(network(x[i : i + 1] * mask)[0, targets[i]]))
        weights = np.exp(scores) / np.exp(scores).sum()
        found[i] = (weights[:, None, None] * one.numpy()).sum(axis=0)
    return found


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [1, 5, 256])
def test_score_cam_is_its_formula_however_many_masks_go_at_once(monkeypatch, channels, size):
    torch.manual_seed(0)
    monkeypatch.setattr(class_activation, "max_batch_size", lambda *_: size)
    module = nn.Sequential(*body(channels), nn.Flatten(), nn.Linear(216, 3)).double()
    with torch.no_grad():
        module[1].weight[:2] = 0  # two maps are constant: one of zeros, one of ones
        module[1].bias[1] = 1
    model, targets = model_of(module, channels), np.array([0, 1, 2])
    found = class_activation.score_cam(model, images(3, channels), targets)
    expected = score_cam_by_loops(model, images(3, channels), targets)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    other = class_activation.score_cam(model, images(3, channels), (targets + 1) % 3)
    assert np.abs(other - found).max() > 1e-3 * np.abs(found).max()


def test_score_cam_sends_no_constant_mask_through_and_never_too_many_pixels(monkeypatch):
    torch.manual_seed(0)
    monkeypatch.setattr(class_activation, "max_batch_size", lambda *_: 4)
    module = nn.Sequential(*body(), nn.Flatten(), nn.Linear(216, 3))
    with torch.no_grad():
        module[1].weight[:4] = 0
    sizes = []
    model = model_of(module)
    module.register_forward_hook(lambda _m, inputs, _y: sizes.append(len(inputs[0])))
    _ = model.shown_layer
    sizes.clear()
    class_activation.score_cam(model, images(3), np.array([0, 1, 2]))
    assert sizes == [3, 1, 4, 2]  # the images, a blank one, and two maps each for three of them


@pytest.mark.parametrize("name", [name for name in CAMS if name != "eigen_cam"])
def test_the_class_decides(name):
    torch.manual_seed(0)
    model = model_of(FITTING["average and linear"]())
    one, two = (methods[name].compute(model, images(), np.full(3, k)) for k in (0, 1))
    assert np.abs(one - two).max() > 1e-3 * np.abs(one).max()


def test_eigen_cam_is_blind_to_the_class_and_says_so():
    torch.manual_seed(0)
    model = model_of(FITTING["average and linear"]())
    one, two = (methods["eigen_cam"].compute(model, images(), np.full(3, k)) for k in (0, 1))
    assert np.array_equal(one, two)
    assert [name for name in CAMS if methods[name].class_agnostic] == ["eigen_cam"]


@pytest.mark.slow
@pytest.mark.parametrize("name", CAMS)
@settings(max_examples=10)
@given(order=st.permutations(range(3)))
def test_picturesof_a_batch_do_not_meet(name, order):
    torch.manual_seed(0)
    model = model_of(FITTING["average and linear"]().double())
    whole = methods[name].compute(model, images(), np.array([0, 1, 2]))
    turned = methods[name].compute(model, images()[order], np.array([0, 1, 2])[order])
    np.testing.assert_allclose(turned, whole[order], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in CAMS if name != "cam"])  # CAM reads the last maps alone
def test_a_named_layer_is_used(name):
    network = create("small_cnn", input_shape=(1, 28, 28), classes=3)
    predictor = TorchPredictor(network, Preprocess(1, 28, 28), ("ant", "bee", "cow"))
    for layer, side in (("stage1", 14), ("body.stage1.0", 28), (None, 7)):
        found = methods[name].compute(
            ExplainedModel.of(predictor, layer=layer), images(1, 1, 28), np.array([0])
        )
        assert found.shape == (1, side, side)


@pytest.mark.parametrize("name", CAMS)
def test_a_network_that_has_no_layers_at_hand_is_told(name):
    class Remote:
        classes = ("ant", "bee")
        preprocess = Preprocess(1, 8, 8)

        def predict(self, prepared):
            return np.zeros((len(prepared), 2), np.float32)

    with pytest.raises(
        UserError, match="only the predictions of this network are at hand; use occlusion or rise"
    ):
        methods[name].compute(ExplainedModel.of(Remote()), images(), np.array([0, 1, 0]))
