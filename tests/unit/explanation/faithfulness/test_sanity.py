"""The randomised-weights check: what is drawn again, what is left alone, and what the correlation says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import nn

from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribute import explain_images
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.faithfulness.sanity import rank_correlation, reinitialised, sanity
from convscope.explanation.methods import Method, methods
from convscope.models.pytorch.custom_model import wrap_custom_model
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create
from deciding_patch import PatchAnswers


class Odd(nn.Module):
    """A layer with weights and no reset_parameters."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(1, 3, 8)[:, None, None])

    def forward(self, x):
        return x * self.scale


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    net = create("small_cnn", input_shape=(1, 12, 12), classes=3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.05
            module.running_var *= 2
            module.weight.data *= 2
    return ExplainedModel.of(TorchPredictor(net, Preprocess(1, 12, 12), ("a", "b", "c")))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (4, 12, 12, 1), dtype=np.uint8)


def test_all_weights_are_drawn_again_and_the_network_stays(model):
    before = {name: value.clone() for name, value in model.predictor.network.state_dict().items()}
    state = torch.random.get_rng_state()
    other = reinitialised(model).predictor.network.state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in model.predictor.network.state_dict().items():
        assert torch.equal(value, before[name])
        if value.is_floating_point() and value.numel():
            same_as_fresh = "bias" in name and not value.any()
            assert same_as_fresh or not torch.equal(other[name], value), name


def test_the_same_seed_draws_the_same_weights(model):
    a, b, c = (reinitialised(model, seed=seed).predictor.network.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


def test_weights_of_a_layer_that_cannot_set_itself_back_keep_their_deviation():
    module = nn.Sequential(nn.Conv2d(1, 8, 3), Odd(), nn.Flatten(), nn.Linear(8 * 36, 2))
    net = wrap_custom_model(module, name="odd", input_shape=(1, 8, 8), classes=2)
    model = ExplainedModel.of(TorchPredictor(net, Preprocess(1, 8, 8), ("a", "b")))
    old, new = (
        next(m for m in network.modules() if isinstance(m, Odd)).scale.flatten()
        for network in (model.predictor.network, reinitialised(model).predictor.network)
    )
    assert not torch.equal(old, new) and 1 < new.mean() < 3 and 0.2 < new.std() < 1.5


def test_predictions_alone_have_no_weights():
    model = ExplainedModel(PatchAnswers(), Preprocess(1, 16, 16))
    assert reinitialised(model) is None


@pytest.mark.parametrize("name", ["grad_cam", "layer_cam"])
def test_a_map_beside_itself_is_one_and_beside_another_network_less(model, images, name):
    found = explain_images(model, images, methods[name])
    shown = np.array([reason is None for reason in found.refused])
    assert shown.any()
    np.testing.assert_allclose(sanity(found, images, model)[shown], 1)
    assert np.abs(sanity(found, images, reinitialised(model))[shown]).mean() < 0.9


def test_a_map_of_the_image_alone_is_caught(model, images):
    edges = Method("edges", "Edges", "predictions", "", lambda s, x, k: x[..., 0].astype(float))
    np.testing.assert_allclose(sanity(explain_images(model, images, edges), images, reinitialised(model)), 1)
    turned = Method(
        "turned",
        "Turned",
        "predictions",
        "",
        lambda s, x, k: x[..., 0] * float(1 if s is model else -1),
    )
    found = explain_images(model, images, turned)
    np.testing.assert_allclose(
        sanity(found, images, reinitialised(model)), 1
    )  # the sign does not make it another map


def test_the_other_network_predicts_for_itself(model, images):
    asked = []
    method = Method(
        "m", "M", "predictions", "", lambda s, x, k: asked.append(s.predictor.predict(x)) or x[..., 0] * 1.0
    )
    sanity(explain_images(model, images, method), images, reinitialised(model))
    assert len(asked) == 2 and not np.allclose(asked[0], asked[1])


def test_where_there_is_no_map_there_is_nan(model, images):
    none = Method("none", "None", "feature_maps", "", lambda s, x, k: np.zeros((len(x), 3, 3)))
    assert np.isnan(sanity(explain_images(model, images, none), images, reinitialised(model))).all()
    half = Method(
        "half",
        "Half",
        "feature_maps",
        "",
        lambda s, x, k: x[..., 0] * (np.arange(len(x)) % 2)[:, None, None] * 1.0,
    )
    found = sanity(explain_images(model, images, half), images, reinitialised(model))
    assert np.isnan(found).tolist() == [True, False, True, False]
    assert np.isnan(sanity(explain_images(model, images, half), images, None)).all()
    lost = Method("lost", "Lost", "feature_maps", "", lambda s, x, k: x[..., 0] * float(s is model))
    np.testing.assert_array_equal(
        sanity(explain_images(model, images, lost), images, reinitialised(model)), 0
    )


@given(st.integers(0, 1000), st.booleans())
def test_the_correlation_is_that_of_scipy(seed, ties):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 3, 4, 5))
    if ties:
        a, b = a.round(), b.round()
    expected = [spearmanr(x.ravel(), y.ravel()).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(rank_correlation(a, b), expected, atol=1e-12)


def test_a_constant_map_correlates_with_nothing():
    assert rank_correlation(np.ones((1, 2, 2)), np.arange(4.0).reshape(1, 2, 2)).tolist() == [0]
    assert rank_correlation(np.ones((0, 2, 2)), np.ones((0, 2, 2))).shape == (0,)
