"""Every network × every method: a finite map of the image's size, or a refusal that has been looked at.

The full settings, and every registered network, are those of benchmarks/every_explanation.py.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial

import numpy as np
import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.data.preprocess import Preprocess
from convscope.explanation import class_activation, integrated, occlusion, rise, smooth
from convscope.explanation.capture import maps_of
from convscope.explanation.explained import explain_images
from convscope.explanation.methods import methods
from convscope.explanation.subject import Subject
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create, networks
from distinct import DISTINCT

CLASSES = ("ant", "bee", "cow")
FAMILIES = list({networks[name].family: name for name in reversed(DISTINCT)}.values())[::-1]
CASES = [(name, (28, 28, 1)) for name in DISTINCT] + [(name, (64, 64, 3)) for name in FAMILIES]

DENSE = "CAM needs a network that reads the mean of each map with one linear layer"
NO_RELU = "guided_backprop needs a network with ReLU"
BELOW_ZERO = "every place of the layer speaks against .*, so ReLU leaves nothing"

# By network and method: what must be told. Of BELOW_ZERO only some images are refused: tanh leaves maps below zero.
REFUSED = {
    **{(name, "cam"): DENSE for name in ("lenet5", "lenet5_1998", "simple_cnn", "small_cnn", "fashion_cnn")},
    **{(name, "cam"): DENSE for name in ("lab_cnn", "lab_cnn_bn", "alexnet", "vgg11", "vgg11_bn")},
    **{(name, "cam"): DENSE for name in ("mobilenet_v3_large", "mobilenet_v3_small", "convnext_tiny")},
    **{(name, "guided_backprop"): NO_RELU for name in ("lenet5_1998", "efficientnet_b0", "efficientnet_v2_s")},
    ("convnext_tiny", "guided_backprop"): NO_RELU,
    **{("lenet5_1998", m): BELOW_ZERO for m in ("grad_cam", "grad_cam_plus_plus", "layer_cam", "score_cam")},
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Fewer masks, copies and steps: what is asked here is whether a method and a network fit each other."""

    def few_maps(*given, **named):
        maps, logits = maps_of(*given, **named)
        return maps[:, :6], logits

    monkeypatch.setattr(class_activation, "maps_of", few_maps)
    monkeypatch.setattr(rise, "rise", partial(rise.rise, masks=6))
    monkeypatch.setattr(occlusion, "occlusion", partial(occlusion.occlusion, window=20, stride=20))
    monkeypatch.setattr(smooth, "COPIES", 2)
    monkeypatch.setattr(integrated, "STEPS", 2)
    monkeypatch.setattr(integrated, "TOLERANCE", 100.0)


@lru_cache(maxsize=1)
def settled(name, shape):
    """A subject and two images. Norms have seen a batch, no weight of the head is below zero, logits are about 1."""
    height, width, channels = shape
    torch.manual_seed(0)
    network = create(name, input_shape=(channels, height, width), classes=3).eval()
    subject = Subject.of(TorchPredictor(network, Preprocess(channels, height, width), CLASSES))
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        if norms:
            network(subject.inputs(images))
        for parameter in network.head.parameters():
            parameter.abs_()
        *_, last = (parameter for parameter in network.head.parameters() if parameter.ndim > 1)
        last /= network.eval()(subject.inputs(images)).abs().max()
    return subject, images


@pytest.mark.parametrize("method", list(methods))
@pytest.mark.parametrize(("name", "shape"), CASES, ids=lambda value: value if isinstance(value, str) else str(value[0]))
def test_a_finite_map_or_a_reviewed_refusal(name, shape, method):
    subject, images = settled(name, shape)
    try:
        found = explain_images(subject, images, methods[method], targets=np.array([2, 0]))
        told = [reason for reason in found.refused if reason]
        assert found.maps.shape == (2, *shape[:2]) and np.isfinite(found.maps).all()
        shown = [one for one, reason in zip(found.maps, found.refused, strict=True) if not reason]
        assert all(np.ptp(one) > 0 for one in shown)
    except UserError as refusal:
        told = [str(refusal)]
    expected = REFUSED.get((name, method))
    assert all(expected and re.search(expected, words) for words in told)
    assert told or expected in (None, BELOW_ZERO), "it works: take it off the list"
