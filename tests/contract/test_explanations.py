"""Every network × every method: a finite map of the image's size, or a refusal that has been looked at.

The full settings, and every registered network, are those of benchmarks/every_explanation.py.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribute import explain_images
from convscope.explanation.attribution import class_activation, gradients, integrated, occlusion, rise
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import methods
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create
from distinct import A_FAMILY, DISTINCT

CLASSES = ("ant", "bee", "cow")
# A second and more each in colour; in grey they are here like all others.
HEAVY = {"inception_v3", "densenet121", "googlenet", "convnext_tiny", "efficientnet_b0"}
# The last feature maps still have several positions; sides that differ tell rows from columns.
GREY, COLOUR = (20, 18, 1), (20, 24, 3)
CASES = [(name, GREY) for name in DISTINCT]
CASES += [(name, COLOUR) for name in A_FAMILY if name not in HEAVY]

DENSE = "CAM needs a network that reads the mean of each map with one linear layer"
NO_RELU = "guided_backprop needs a network with ReLU"
# With fresh weights a class may have nothing that speaks for it, where a method cuts off the rest.
BELOW_ZERO = "every position of the layer speaks against .*, so ReLU leaves nothing"

# SqueezeNet puts ReLU on one map a class: with fresh weights a logit may be 0, whatever the image.
DEAD = "every number of the map is 0"

# By network and method: the reason that must be given.
REFUSED = {
    **{(name, "cam"): DENSE for name in ("lenet5", "lenet5_1998", "simple_cnn", "small_cnn", "fashion_cnn")},
    **{(name, "cam"): DENSE for name in ("lab_cnn", "lab_cnn_bn", "alexnet", "vgg11", "vgg11_bn")},
    **{(name, "cam"): DENSE for name in ("mobilenet_v3_large", "mobilenet_v3_small", "convnext_tiny")},
    **{(name, "cam"): f"{DENSE}|{DEAD}" for name in ("squeezenet1_0", "squeezenet1_1")},
    **{
        (name, "guided_backprop"): NO_RELU for name in ("lenet5_1998", "efficientnet_b0", "efficientnet_v2_s")
    },
    ("convnext_tiny", "guided_backprop"): NO_RELU,
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Fewer masks, copies and steps: what is asked here is whether a method and a network fit each other."""

    def few_maps(model, x):
        return layer_maps(model, x)[:, :6]

    def halves(predictor, images, targets, *, fill):
        half = min(images.shape[1:3]) // 2
        return windows(predictor, images, targets, fill=fill, window=half, stride=half)

    layer_maps, windows = class_activation.layer_maps, occlusion.occlusion
    monkeypatch.setattr(class_activation, "layer_maps", few_maps)
    monkeypatch.setattr(rise, "rise", partial(rise.rise, masks=6))
    monkeypatch.setattr(occlusion, "occlusion", halves)
    monkeypatch.setattr(gradients, "smooth_gradient", partial(gradients.smooth_gradient, copies=2))
    monkeypatch.setattr(integrated, "STEPS", 2)
    monkeypatch.setattr(integrated, "MOST_STEPS", 32)
    monkeypatch.setattr(integrated, "TOLERANCE", 100.0)


def prepared(name, shape):
    """A model whose norms have seen a batch, so that its logits are about 1, two images and two classes."""
    height, width, channels = shape
    torch.manual_seed(0)
    network = create(name, input_shape=(channels, height, width), classes=3).eval()
    model = ExplainedModel.of(TorchPredictor(network, Preprocess(channels, height, width), CLASSES))
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = None
        layer.train()
    if norms:
        # Occlusion and RISE send dim images through, whose statistics are others, so some are in the batch.
        seen = np.concatenate([images, images // 4 + 96, images // 16 + 120])
        with torch.no_grad():
            network(torch.from_numpy(model.inputs(seen)))
    network.eval()
    best = int(model.predictor.predict(images[:1]).argmax())
    return model, images, np.array([best, (best + 1) % 3])


@pytest.mark.parametrize(
    ("name", "shape"), CASES, ids=lambda value: value if isinstance(value, str) else str(value[0])
)
def test_a_finite_map_or_a_reviewed_refusal(name, shape):
    model, images, targets = prepared(name, shape)
    wrong = {}
    for method in methods:
        reasons = checked_reasons(model, images, targets, method)
        allowed = [
            REFUSED.get((name, method)),
            methods[method].relu and BELOW_ZERO,
            "squeeze" in name and DEAD,
        ]
        if not all(any(words and re.search(words, reason) for words in allowed) for reason in reasons):
            wrong[method] = reasons
        if not reasons and (name, method) in REFUSED:
            wrong[method] = "it works: take it off the list"
    assert not wrong


def checked_reasons(model, images, targets, method):
    """Why there is no map, for each image or once for all; those that there are, are checked."""
    try:
        found = explain_images(model, images, methods[method], targets=targets)
    except UserError as refusal:
        return [str(refusal)]
    assert found.heat_maps.shape == images.shape[:3] and np.isfinite(found.heat_maps).all(), method
    shown = [one for one, reason in zip(found.heat_maps, found.refused, strict=True) if not reason]
    assert all(np.ptp(one) > 0 for one in shown), method
    return [reason for reason in found.refused if reason]
