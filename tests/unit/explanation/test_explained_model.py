"""An ExplainedModel knows its network, its layer and its images; a run whose network went wrong says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import small_data
from convscope.core.bundle import Bundle
from convscope.core.decision import Decision
from convscope.core.errors import Failure, UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explain import explain
from convscope.explanation.explained_model import ExplainedModel, open_explained_run
from convscope.explanation.feature_visualisation.views import show
from convscope.inference.classifier import Classifier
from convscope.inference.load import load
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create
from convscope.report.write import write_report

CLASSES = ("ant", "bee")


def predictor(channels=1, *, mean=(0.3,), std=(0.2,)):
    torch.manual_seed(0)
    net = create("small_cnn", input_shape=(channels, 12, 8), classes=2)
    return TorchPredictor(net, Preprocess(channels, 12, 8, "crop", mean * channels, std * channels), CLASSES)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 4])
def test_inputs_are_what_the_predictor_gives_its_network(channels, count):
    answering = predictor(channels)
    model = ExplainedModel.of(answering)
    images = np.random.default_rng(0).integers(0, 256, (count, 12, 8, channels), np.uint8)
    x = model.inputs(images)
    assert x.shape == (count, channels, 12, 8) and x.dtype == np.float32
    np.testing.assert_allclose(model.inside().logits(x), answering.predict(images), rtol=1e-4, atol=1e-6)


def test_inputs_leave_the_images_alone():
    model = ExplainedModel.of(predictor())
    images = np.full((2, 12, 8, 1), 51, np.uint8)
    images.setflags(write=False)  # as a memory map is
    assert model.inputs(images[:, ::-1]).max() == pytest.approx((0.2 - 0.3) / 0.2)


def test_a_classifier_and_its_predictor_are_the_same_model():
    answering = predictor()
    classifier = Classifier(answering, answering.preprocess, Decision())
    for given in (answering, classifier):
        model = ExplainedModel.of(given, layer="stage1")
        assert model.predictor is answering and model.inside().network is answering.network
        assert model.classes == CLASSES and model.layer == model.shown_layer == "stage1"


def test_the_layer_is_found_once():
    model = ExplainedModel.of(predictor())
    calls = []
    model.predictor.network.register_forward_pre_hook(lambda *_: calls.append(1))
    assert model.shown_layer == model.shown_layer == "stage2" and len(calls) == 1


def test_what_says_nothing_about_its_images_is_not_explained():
    class Answering:
        classes = CLASSES

        def predict(self, images):
            return np.zeros((len(images), 2), np.float32)

    with pytest.raises(UserError, match="a Answering does not say how it prepares images; give a Classifier"):
        ExplainedModel.of(Answering())
    model = ExplainedModel(Answering(), Preprocess(1, 12, 8))
    assert model.classes == CLASSES
    with pytest.raises(UserError, match="only the predictions of this network are at hand; use occlusion"):
        model.inside()


@pytest.fixture(scope="module")
def bundle():
    """Of an untrained network."""
    network = create("simple_cnn", input_shape=(1, small_data.SIDE, small_data.SIDE), classes=3)
    return Bundle(
        model=network.spec.to_dict(),
        preprocess=Preprocess(1, small_data.SIDE, small_data.SIDE, mean=(0.4,), std=(0.2,)).to_dict(),
        classes=small_data.CLASSES,
        weights={name: value.numpy() for name, value in network.state_dict().items()},
    )


@pytest.fixture(params=["NaN", "large"])
def broken(request, bundle, tmp_path):
    """The same after a training that flew apart: NaN in the last layer, or weights that overflow in the
    first.
    """
    weights = {name: value.copy() for name, value in bundle.weights.items()}
    kernels = [name for name, value in weights.items() if value.ndim > 1]
    weights[kernels[-1 if request.param == "NaN" else 0]][:] = np.nan if request.param == "NaN" else 3e38
    return replace(bundle, weights=weights).save(tmp_path / "b.safetensors")


def test_a_whole_network_opens(bundle, tmp_path):
    assert (
        open_explained_run(bundle.save(tmp_path / "b.safetensors")).explained_model.classes
        == small_data.CLASSES
    )


def test_a_network_that_answers_with_nan_is_refused(broken, tmp_path):
    image = small_data.pictures(1)[0]
    for look in (
        lambda: explain(broken, image, out=tmp_path / "out"),
        lambda: explain(broken, image, method="auto", out=tmp_path / "out"),
        *(
            lambda what=what: show(broken, what, out=tmp_path / "out")
            for what in ("filters", "channels", "receptive-field")
        ),
        lambda: write_report(broken, small_data.write_npz(tmp_path / "d.npz"), out=tmp_path / "out"),
    ):
        with pytest.raises(Failure, match="NaN or infinity; train with a lower rate"):
            look()
    assert list((tmp_path / "out").glob("*")) == []


def test_each_image_says_so(broken):
    answered = load(broken).classify(small_data.pictures(2)[0])
    assert ["NaN or infinity" in answer.error for answer in answered] == [True, True]
