"""A explained_model knows its network, its layer and its pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from convscope.core.decision import Decision
from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.inference.classifier import Classifier
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create

CLASSES = ("ant", "bee")


def predictor(channels=1, *, mean=(0.3,), std=(0.2,)):
    torch.manual_seed(0)
    net = create("small_cnn", input_shape=(channels, 12, 8), classes=2)
    return TorchPredictor(net, Preprocess(channels, 12, 8, "crop", mean * channels, std * channels), CLASSES)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_inputs_are_what_the_predictor_gives_its_network(channels, count):
    answering = predictor(channels)
    explained_model = ExplainedModel.of(answering)
    images = np.random.default_rng(0).integers(0, 256, (count, 12, 8, channels), np.uint8)
    x = explained_model.inputs(images)
    assert x.shape == (count, channels, 12, 8) and x.dtype == torch.float32
    np.testing.assert_allclose(x.numpy(), answering.preprocess.normalise(images), atol=1e-6)
    with torch.no_grad():
        logits = explained_model.torch_network().eval()(x)
    np.testing.assert_allclose(logits.numpy(), answering.predict(images), rtol=1e-4, atol=1e-6)


def test_inputs_have_the_number_type_of_the_network_and_leave_the_images_alone():
    explained_model = ExplainedModel.of(predictor())
    explained_model.torch_network().double()
    images = np.full((2, 12, 8, 1), 51, np.uint8)
    images.setflags(write=False)  # as a memory map is
    assert explained_model.inputs(images).dtype == torch.float64
    assert float(explained_model.inputs(images[:, ::-1]).max()) == pytest.approx((0.2 - 0.3) / 0.2)


def test_a_classifier_and_its_predictor_are_one_subject():
    answering = predictor()
    classifier = Classifier(answering, answering.preprocess, Decision())
    for given in (answering, classifier):
        explained_model = ExplainedModel.of(given, layer="stage1")
        assert explained_model.predictor is answering and explained_model.network is answering.network
        assert (
            explained_model.classes == CLASSES
            and explained_model.layer == explained_model.shown_layer == "stage1"
        )


def test_the_layer_is_looked_for_once():
    explained_model = ExplainedModel.of(predictor())
    calls = []
    explained_model.torch_network().register_forward_pre_hook(lambda *_: calls.append(1))
    assert explained_model.shown_layer == explained_model.shown_layer == "stage2" and len(calls) == 1


def test_what_says_nothing_about_its_pictures_is_no_subject():
    class Answering:
        classes = CLASSES

        def predict(self, images):
            return np.zeros((len(images), 2), np.float32)

    with pytest.raises(UserError, match="a Answering does not say how it prepares images; give a Classifier"):
        ExplainedModel.of(Answering())
    explained_model = ExplainedModel(Answering(), Preprocess(1, 12, 8))
    assert explained_model.classes == CLASSES
    with pytest.raises(
        UserError, match="only the answers of this network are at hand; use occlusion or rise"
    ):
        explained_model.inputs(np.zeros((1, 12, 8, 1), np.uint8))
