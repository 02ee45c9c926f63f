"""The randomised-weights check: what is forgotten, what is left alone, and what the correlation says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr
from torch import nn

from convscope.data.preprocess import Preprocess
from convscope.explanation.explained import explain_images
from convscope.explanation.faithfulness.sanity import rank_correlation, sanity, unlearned
from convscope.explanation.method import Method
from convscope.explanation.methods import methods
from convscope.explanation.subject import Subject
from convscope.models.pytorch.own_network import wrap
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create
from patch import PatchAnswers


class Odd(nn.Module):
    """A layer with weights and no reset_parameters."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(1, 3, 8)[:, None, None])

    def forward(self, x):
        return x * self.scale


@pytest.fixture(scope="module")
def subject():
    torch.manual_seed(0)
    net = create("small_cnn", input_shape=(1, 12, 12), classes=3)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.05
            module.running_var *= 2
            module.weight.data *= 2
    return Subject.of(TorchPredictor(net, Preprocess(1, 12, 12), ("a", "b", "c")))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 255, (4, 12, 12, 1), dtype=np.uint8)


def test_everything_is_forgotten_and_the_network_stays(subject):
    before = {name: value.clone() for name, value in subject.network.state_dict().items()}
    state = torch.random.get_rng_state()
    other = unlearned(subject).network.state_dict()
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, value in subject.network.state_dict().items():
        assert torch.equal(value, before[name])
        if value.is_floating_point() and value.numel():
            same_as_fresh = "bias" in name and not value.any()
            assert same_as_fresh or not torch.equal(other[name], value), name


def test_the_same_seed_forgets_in_the_same_way(subject):
    a, b, c = (unlearned(subject, seed=seed).network.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], c[name]) for name in a)


def test_weights_of_a_layer_that_cannot_set_itself_back_keep_their_spread():
    module = nn.Sequential(nn.Conv2d(1, 8, 3), Odd(), nn.Flatten(), nn.Linear(8 * 36, 2))
    net = wrap(module, name="odd", input_shape=(1, 8, 8), classes=2)
    subject = Subject.of(TorchPredictor(net, Preprocess(1, 8, 8), ("a", "b")))
    old, new = (
        next(m for m in network.modules() if isinstance(m, Odd)).scale.flatten()
        for network in (subject.network, unlearned(subject).network)
    )
    assert not torch.equal(old, new) and 1 < new.mean() < 3 and 0.2 < new.std() < 1.5


def test_answers_alone_have_nothing_to_forget():
    subject = Subject(PatchAnswers(), Preprocess(1, 16, 16))
    assert unlearned(subject) is None


@pytest.mark.parametrize("name", ["grad_cam", "layer_cam"])
def test_a_map_beside_itself_is_one_and_beside_another_network_less(subject, images, name):
    found = explain_images(subject, images, methods[name])
    shown = np.array([reason is None for reason in found.refused])
    assert shown.any()
    np.testing.assert_allclose(sanity(found, images, subject)[shown], 1)
    assert np.abs(sanity(found, images, unlearned(subject))[shown]).mean() < 0.9


def test_a_map_of_the_image_alone_is_caught(subject, images):
    edges = Method("edges", "Edges", "answers", "", lambda s, x, k: x[..., 0].astype(float))
    np.testing.assert_allclose(sanity(explain_images(subject, images, edges), images, unlearned(subject)), 1)
    turned = Method("turned", "Turned", "answers", "", lambda s, x, k: x[..., 0] * float(1 if s is subject else -1))
    found = explain_images(subject, images, turned)
    np.testing.assert_allclose(sanity(found, images, unlearned(subject)), 1)  # the sign does not make it another map


def test_answers_of_the_other_network_are_asked(subject, images):
    asked = []
    method = Method("m", "M", "answers", "", lambda s, x, k: asked.append(s.predictor.predict(x)) or x[..., 0] * 1.0)
    sanity(explain_images(subject, images, method), images, unlearned(subject))
    assert len(asked) == 2 and not np.allclose(asked[0], asked[1])


def test_where_there_is_no_map_there_is_no_number(subject, images):
    none = Method("none", "None", "maps", "", lambda s, x, k: np.zeros((len(x), 3, 3)))
    assert np.isnan(sanity(explain_images(subject, images, none), images, unlearned(subject))).all()
    half = Method("half", "Half", "maps", "", lambda s, x, k: x[..., 0] * (np.arange(len(x)) % 2)[:, None, None] * 1.0)
    found = sanity(explain_images(subject, images, half), images, unlearned(subject))
    assert np.isnan(found).tolist() == [True, False, True, False]
    assert np.isnan(sanity(explain_images(subject, images, half), images, None)).all()
    lost = Method("lost", "Lost", "maps", "", lambda s, x, k: x[..., 0] * float(s is subject))
    np.testing.assert_array_equal(sanity(explain_images(subject, images, lost), images, unlearned(subject)), 0)


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
