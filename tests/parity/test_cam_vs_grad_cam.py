"""Class activation maps beside two independent programs, pytorch-grad-cam and captum: the same coarse maps.

In float64, at the same layer, before anything is cut off, scaled or enlarged, so that no convention can hide
a difference.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribution import cam
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import methods
from convscope.explanation.pytorch.capture import find_module
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.torchvision_cpu import allow_torchvision
from convscope.models.pytorch.zoo import create

EXACT = 1e-9  # max|Δ| / max|reference|: what differs is the order of float64 sums
ROUNDED = 1e-5  # they round the scores of Score-CAM and the maps of Eigen-CAM to float32
FAR = 1e-2  # what a wrong map must miss by

# Residual; concatenating, without batch norm and grey; depthwise; and one with a dense head, whose gradients
# are not even. Beside the shape a layer of few maps for Score-CAM, which sends an image a map through the
# network, and a layer whose maps have the size of the last stage's and must be told apart.
NETWORKS = {
    "resnet20": ((3, 32, 32), "stage2", "body.stage3.1"),
    "squeezenet1_0": ((1, 28, 28), "body.stage2.1.squeeze", "body.stage3.1.squeeze"),
    "mobilenet_v2": ((3, 32, 32), "stage1", "body.stage7"),
    "small_cnn": ((1, 28, 20), "stage2", "body.stage2.2"),
}
THEIRS = {
    "grad_cam": "GradCAM",
    "grad_cam_plus_plus": "GradCAMPlusPlus",
    "layer_cam": "LayerCAM",
    "score_cam": "ScoreCAM",
    "eigen_cam": "EigenCAM",
}


@pytest.fixture(scope="module")
def oracle():
    allow_torchvision()
    import pytorch_grad_cam

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pytorch_grad_cam.score_cam.tqdm, "tqdm", lambda batches: batches)
        yield pytorch_grad_cam


def prepared(name, shape):
    """A network in float64 whose norms have seen a batch, so that its logits are of the order of 1."""
    torch.manual_seed(0)
    network = create(name, input_shape=shape, classes=5).double().eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
            layer.train()
    with torch.no_grad():
        network(torch.randn(8, *shape, dtype=torch.float64))
    return network.eval()


@pytest.fixture(scope="module", params=NETWORKS)
def case(request):
    """A name, what is looked into, three images that differ all over, and a class for each."""
    name = request.param
    channels, height, width = shape = NETWORKS[name][0]
    network = prepared(name, shape)
    preprocess = Preprocess(channels, height, width, "crop", (0.4,) * channels, (0.3,) * channels)
    predictor = TorchPredictor(network, preprocess, tuple("abcde"))
    images = np.random.default_rng(0).integers(0, 256, (3, height, width, channels), np.uint8)
    model = ExplainedModel.of(predictor)
    logits = network(tensors(model, images)).detach()
    assert 0.05 < logits.std() < 50 and logits.dtype == torch.float64
    return name, model, images, np.array([0, 3, 4])


def tensors(model, images):
    """What both programs get."""
    return torch.from_numpy(model.inputs(images)).double()


def at_layer(model, layer):
    return replace(model, layer=layer)


def their_map(oracle, model, layer, data, *, kind):
    """What their method makes of its layer before it scales it, N×h×w."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    images, targets = data
    network = copy.deepcopy(model.predictor.network)
    raw = []
    with getattr(oracle, kind)(network, [find_module(network, layer)]) as method:
        within = method.get_cam_image
        method.get_cam_image = lambda *a, **k: raw.append(within(*a, **k)) or raw[-1]
        method(tensors(model, images), [ClassifierOutputTarget(int(k)) for k in targets])
    return raw[0]


def distance(found, expected):
    """max|Δ| / max|reference|."""
    assert found.shape == expected.shape
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("name", ["grad_cam", "grad_cam_plus_plus", "layer_cam"])
def test_the_maps_of_gradients_are_theirs(oracle, case, name):
    network, model, images, targets = case
    found = methods[name].compute(model, images, targets)
    expected = their_map(oracle, model, model.shown_layer, (images, targets), kind=THEIRS[name])
    assert distance(found, expected) <= EXACT and np.ptp(expected) > 0
    # Another layer, another class, and gradients that belong to other maps must be seen.
    if (network, name) != ("small_cnn", "layer_cam"):  # max(∂y/∂A, 0) · A is the same before and after a ReLU
        elsewhere = methods[name].compute(at_layer(model, NETWORKS[network][2]), images, targets)
        assert distance(elsewhere, expected) > FAR
    assert distance(methods[name].compute(model, images, (targets + 1) % 5), expected) > FAR
    passed = model.inside().layer_gradients(model.inputs(images), targets, model.shown_layer)
    permuted = getattr(cam, name)(passed.feature_maps, passed.gradients[:, ::-1])
    assert distance(permuted, expected) > FAR


def test_score_cam_is_theirs(oracle, case):
    network, model, images, targets = case
    layer, images, targets = NETWORKS[network][1], images[:2], targets[:2]
    ours = at_layer(model, layer)
    found = methods["score_cam"].compute(ours, images, targets)
    expected = their_map(oracle, ours, layer, (images, targets), kind="ScoreCAM")
    assert distance(found, expected) <= ROUNDED
    assert (
        distance(methods["score_cam"].compute(ours, images, targets[::-1].copy()), expected) > 100 * ROUNDED
    )


def test_eigen_cam_is_theirs_up_to_its_sign(oracle, case):
    network, model, images, targets = case
    found = methods["eigen_cam"].compute(model, images, targets)
    expected = their_map(oracle, model, model.shown_layer, (images, targets), kind="EigenCAM")
    sign = np.sign((found * expected).sum(axis=(1, 2), keepdims=True))
    assert distance(found, sign * expected) <= ROUNDED
    elsewhere = methods["eigen_cam"].compute(at_layer(model, NETWORKS[network][2]), images, targets)
    assert min(distance(elsewhere, expected), distance(-elsewhere, expected)) > FAR


def test_grad_cam_is_that_of_captum(case):
    allow_torchvision()
    from captum.attr import LayerGradCam

    _, model, images, targets = case
    network = copy.deepcopy(model.predictor.network)
    theirs = LayerGradCam(network, find_module(network, model.shown_layer))
    expected = (
        theirs.attribute(tensors(model, images), target=torch.from_numpy(targets)).detach().numpy()[:, 0]
    )
    found = methods["grad_cam"].compute(model, images, targets)
    assert distance(found, expected) <= EXACT
    assert distance(methods["grad_cam"].compute(model, images[::-1], targets), expected) > FAR
