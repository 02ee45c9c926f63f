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
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribute import explain_images
from convscope.explanation.attribution import occlusion, rise
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import methods
from convscope.explanation.pytorch import class_activation, integrated, smooth
from convscope.explanation.pytorch.capture import maps_of
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create
from distinct import A_FAMILY, DISTINCT

CLASSES = ("ant", "bee", "cow")
HEAVY = {
    "inception_v3",
    "densenet121",
    "googlenet",
    "convnext_tiny",
    "efficientnet_b0",
}  # seconds each at 48 pixels
# Groups, gates and bottlenecks are met in other networks, among them cbam_resnet50; each of these takes 4 s.
MET_ELSEWHERE = {"resnet50", "resnext50_32x4d", "seresnet50"}
CASES = [(name, (28, 28, 1)) for name in DISTINCT if name not in MET_ELSEWHERE]
CASES += [(name, (48, 48, 3)) for name in A_FAMILY if name not in HEAVY]

DENSE = "CAM needs a network that reads the mean of each map with one linear layer"
NO_RELU = "guided_backprop needs a network with ReLU"
# Of fresh weights: a class may well have nothing that speaks for it, where a method cuts off what speaks
# against.
BELOW_ZERO = "every place of the layer speaks against .*, so ReLU leaves nothing"

# SqueezeNet puts ReLU on one map a class, so that fresh weights may leave a class the logit 0, whatever the
# image.
DEAD = "every number of the map is 0"

# By network and method: what must be told.
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

    def few_maps(*given, **named):
        maps, logits = maps_of(*given, **named)
        return maps[:, :6], logits

    monkeypatch.setattr(class_activation, "maps_of", few_maps)
    monkeypatch.setattr(rise, "rise", partial(rise.rise, masks=6))
    monkeypatch.setattr(occlusion, "occlusion", partial(occlusion.occlusion, window=16, stride=16))
    monkeypatch.setattr(smooth, "smooth_gradient", partial(smooth.smooth_gradient, copies=2))
    monkeypatch.setattr(integrated, "STEPS", 2)
    monkeypatch.setattr(integrated, "TOLERANCE", 100.0)


@lru_cache(maxsize=1)
def settled(name, shape):
    """A explained_model whose norms have seen a batch, so that its logits are of the order of 1, two images
    and two classes.
    """
    height, width, channels = shape
    torch.manual_seed(0)
    network = create(name, input_shape=(channels, height, width), classes=3).eval()
    explained_model = ExplainedModel.of(TorchPredictor(network, Preprocess(channels, height, width), CLASSES))
    images = np.random.default_rng(0).integers(0, 256, (2, *shape), np.uint8)
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for layer in norms:
        layer.momentum = None
        layer.train()
    with torch.no_grad():
        if norms:  # what hides parts of an image gives other statistics, so dim images are among those seen
            network(explained_model.inputs(np.concatenate([images, images // 4 + 96, images // 16 + 120])))
    network.eval()
    best = int(explained_model.predictor.predict(images[:1]).argmax())
    return explained_model, images, np.array([best, (best + 1) % 3])


@pytest.mark.parametrize("method", list(methods))
@pytest.mark.parametrize(
    ("name", "shape"), CASES, ids=lambda value: value if isinstance(value, str) else str(value[0])
)
def test_a_finite_map_or_a_reviewed_refusal(name, shape, method):
    explained_model, images, targets = settled(name, shape)
    try:
        found = explain_images(explained_model, images, methods[method], targets=targets)
        told = [reason for reason in found.refused if reason]
        assert found.maps.shape == (2, *shape[:2]) and np.isfinite(found.maps).all()
        shown = [one for one, reason in zip(found.maps, found.refused, strict=True) if not reason]
        assert all(np.ptp(one) > 0 for one in shown)
    except UserError as refusal:
        told = [str(refusal)]
    allowed = [REFUSED.get((name, method)), methods[method].relu and BELOW_ZERO, "squeeze" in name and DEAD]
    assert all(any(words and re.search(words, one) for words in allowed) for one in told), told
    assert told or (name, method) not in REFUSED, "it works: take it off the list"
