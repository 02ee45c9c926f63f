"""Attacks keep to what they may change, raise the loss, and the table of what is left is right."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import small_data
import trained_runs
from convscope.core.errors import UserError
from convscope.core.seeds import generator
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation import attacks
from convscope.explanation.attacks import AttackRow, accuracy_under_attack, fgsm, pgd
from convscope.explanation.attribution import gradients
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.pytorch.gradients import log_odds_against
from convscope.explanation.pytorch.probe import TorchProbe

both = pytest.mark.parametrize("attack", [fgsm, pgd])


def losses(model, images, labels):
    logits = torch.from_numpy(model.predictor.predict(images)).double()
    return torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels), reduction="none").numpy()


@pytest.mark.slow
@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    epsilon=st.integers(0, 255),
    channels=st.sampled_from([1, 3]),
    attack=st.sampled_from([fgsm, pgd]),
)
def test_no_pixel_changes_by_more_than_epsilon(seed, epsilon, channels, attack):
    rng = np.random.default_rng(seed)
    levels = np.array([0, 1, 127, 254, 255], np.uint8)
    images, labels = rng.choice(levels, (3, 12, 12, channels)), rng.integers(0, 3, 3)
    before = images.copy()
    found = attack(trained_runs.explained_model(channels), images, labels, epsilon=epsilon)
    assert found.dtype == np.uint8 and found.shape == images.shape and (images == before).all()
    assert np.abs(found.astype(int) - images).max() <= epsilon
    assert epsilon > 0 or (found == images).all()


@pytest.mark.slow
@both
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("epsilon", [1, 4, 40])
def test_the_loss_grows_and_more_than_by_chance(attack, channels, epsilon):
    model, (images, labels) = (
        trained_runs.explained_model(channels),
        small_data.pictures(30, channels=channels, seed=9),
    )
    found = attack(model, images, labels, epsilon=epsilon)
    before, after = losses(model, images, labels), losses(model, found, labels)
    assert (after > before).all()
    noise = epsilon * np.random.default_rng(0).choice([-1, 1], images.shape)
    chance = losses(model, np.clip(images + noise, 0, 255).astype(np.uint8), labels)
    assert (after > chance).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_many_steps_do_more_than_one(channels):
    model, (images, labels) = (
        trained_runs.explained_model(channels),
        small_data.pictures(60, channels=channels, seed=9),
    )
    one, many = (attack(model, images, labels, epsilon=48) for attack in (fgsm, pgd))
    right = [
        (model.predictor.predict(found).argmax(axis=1) == labels).mean() for found in (images, one, many)
    ]
    assert right[0] > right[1] > right[2]
    assert losses(model, many, labels).mean() > losses(model, one, labels).mean()


def linear(weights, bias):
    """A ExplainedModel whose two logits are ±(w · x + b) / 2 of a grey image 2×2 scaled to 0..1."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = nn.Parameter(torch.tensor(weights, dtype=torch.float32))

        def forward(self, x):
            answer = (0.5 * x.flatten(1) + 0.5) @ self.weights + bias
            return torch.stack([-answer, answer], dim=1) / 2

    class Predictor:
        classes = ("no", "yes")
        network = Net()
        preprocess = Preprocess(1, 2, 2, mean=(0.5,), std=(0.5,))

        def predict(self, images):
            with torch.no_grad():
                return self.network(torch.from_numpy(self.preprocess.normalise(images))).numpy()

    predictor = Predictor()
    return ExplainedModel(predictor, predictor.preprocess, TorchProbe(predictor.network))


def test_of_a_linear_network_the_best_attack_is_known():
    model = linear([3.0, -2.0, 1.0, 0.0], 0.1)
    images = np.array([[[[100], [100]], [[254], [80]]]], np.uint8)
    wanted = [[[[95], [105]], [[249], [80]]]]  # against every weight; a weight of 0 leaves the pixel alone
    assert fgsm(model, images, np.array([1]), epsilon=5).tolist() == wanted
    found = pgd(model, images, np.array([1]), epsilon=5, steps=20)
    assert found[0, :, :, 0].ravel()[:3].tolist() == [95, 105, 249] and abs(int(found[0, 1, 1, 0]) - 80) <= 5
    assert fgsm(model, images, np.array([0]), epsilon=5)[0, 1, 0, 0] == 255  # no further than white


@both
def test_a_network_that_is_sure_beyond_rounding_is_attacked_all_the_same(attack):
    """Cross-entropy itself has gradient 0 here: 1 − p is 0 in float32, and so is every other probability."""
    model = linear([3.0, -2.0, 1.0, 0.5], 500.0)
    images = np.full((1, 2, 2, 1), 100, np.uint8)
    x = torch.from_numpy(model.inputs(images)).requires_grad_()
    torch.nn.functional.cross_entropy(model.predictor.network(x), torch.tensor([1])).backward()
    assert not x.grad.any()
    assert attack(model, images, np.array([1]), epsilon=3).ravel().tolist() == [97, 103, 97, 97]


@given(seed=st.integers(0, 10**6), classes=st.integers(2, 6))
def test_the_gradient_points_where_that_of_cross_entropy_does(seed, classes):
    torch.manual_seed(seed)
    logits = torch.randn(4, classes, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(classes, (4,))
    (odds,) = torch.autograd.grad(log_odds_against(logits, labels), logits)
    (entropy,) = torch.autograd.grad(
        torch.nn.functional.cross_entropy(logits, labels, reduction="sum"), logits
    )
    against = 1 - logits.softmax(dim=1).gather(1, labels[:, None])
    assert (odds * against).detach().numpy() == pytest.approx(entropy.numpy(), abs=1e-9)


@pytest.mark.slow
def test_the_seed_decides_where_pgd_begins():
    model, (images, labels) = trained_runs.explained_model(), small_data.pictures(4, seed=9)
    first, again, other = (pgd(model, images, labels, epsilon=9, steps=1, step=2, seed=s) for s in (0, 0, 1))
    assert (first == again).all() and (first != other).any()
    grey = np.full_like(images, 100)
    start = generator(3, "pgd", 0).uniform(-9, 9, (4, 1, 12, 12)).round().transpose(0, 2, 3, 1)
    assert (pgd(model, grey, labels, epsilon=9, steps=0, seed=3) == 100 + start).all()


@both
def test_a_network_whose_gradients_are_nan_gives_no_direction(attack):
    model = linear([np.nan] * 4, 0.0)
    images = np.full((1, 2, 2, 1), 100, np.uint8)
    assert np.abs(attack(model, images, np.array([1]), epsilon=3).astype(int) - 100).max() <= 3


def test_batches_change_nothing_of_one_step(monkeypatch):
    model, (images, labels) = trained_runs.explained_model(), small_data.pictures(7, seed=9)
    whole = fgsm(model, images, labels, epsilon=3)
    monkeypatch.setattr(gradients, "MOST_IMAGES", 2)
    assert (fgsm(model, images, labels, epsilon=3) == whole).all()
    assert np.abs(pgd(model, images, labels, epsilon=3).astype(int) - images).max() <= 3


@both
def test_the_network_is_left_as_it_was(attack):
    model, (images, labels) = trained_runs.explained_model(), small_data.pictures(4, seed=9)
    network = model.predictor.network
    network.train().requires_grad_(False)
    try:
        wanted = attack(model, images, labels, epsilon=8)
        assert network.training and all(p.grad is None and not p.requires_grad for p in network.parameters())
    finally:
        network.eval().requires_grad_(True)
    assert (attack(model, images, labels, epsilon=8) == wanted).all()


@both
@pytest.mark.parametrize("epsilon", [-1, 256, 1.5])
def test_epsilon_is_whole_levels(attack, epsilon):
    model, (images, labels) = trained_runs.explained_model(), small_data.pictures(2)
    with pytest.raises(UserError, match=rf"epsilon {epsilon}; allowed: whole pixel levels from 0 to 255"):
        attack(model, images, labels, epsilon=epsilon)


@both
def test_labels_that_do_not_fit_and_predictions_without_a_network(attack):
    model, (images, labels) = trained_runs.explained_model(), small_data.pictures(2)
    with pytest.raises(UserError, match="2 images need 2 classes between 0 and 2"):
        attack(model, images, labels + 2, epsilon=1)
    with pytest.raises(UserError, match="only the predictions"):
        attack(ExplainedModel(model.predictor, model.preprocess), images, labels, epsilon=1)
    assert attack(model, images[:0], labels[:0], epsilon=1).shape == (0, 12, 12, 1)


def test_the_table_says_what_is_left():
    model, (images, labels) = trained_runs.explained_model(), small_data.pictures(40, seed=9)
    labels = labels.copy()
    labels[:4] = (labels[:4] + 1) % 3  # wrong without any attack
    told = []
    found = accuracy_under_attack(
        model, images, labels, epsilons=(56, 8, 48), progress=lambda *n: told.append(n)
    )
    assert found.rows[0] == AttackRow("none", 0, 0.9, 40)
    assert [(row.attack, row.epsilon) for row in found.rows[1:]] == [
        (a, e) for a in ("FGSM", "PGD") for e in (8, 48, 56)
    ]
    assert told == [("attack", n, 6) for n in range(1, 7)]
    for rows, attack in ((found.rows[1:4], fgsm), (found.rows[4:], pgd)):
        left = [row.accuracy for row in rows]
        assert left == sorted(left, reverse=True) and left[0] == 0.9 > left[-1]
        changed = attack(model, images[4:], labels[4:], epsilon=8)
        assert rows[0].accuracy == (model.predictor.predict(changed).argmax(axis=1) == labels[4:]).sum() / 40
    first = json.loads(json.dumps(found.to_dict()))["rows"][0]
    assert first == {"attack": "none", "epsilon": 0, "accuracy": 0.9, "images": 40}


def test_what_is_lost_at_a_small_epsilon_stays_lost(monkeypatch):
    """Here an attack of 2 levels undoes what one of 1 level did; an attacker would have kept to 1."""
    model, (images, labels) = trained_runs.explained_model(), small_data.pictures(6, seed=9)
    other = np.roll(images, 1, axis=0)  # each now shows another class
    for name in ("fgsm", "pgd"):
        monkeypatch.setattr(
            attacks, name, lambda _s, x, y, *, epsilon: other[labels == y[0]][: len(x)] if epsilon == 1 else x
        )
    one_class = labels == 0
    found = accuracy_under_attack(model, images[one_class], labels[one_class], epsilons=(1, 2))
    assert [row.accuracy for row in found.rows] == [1.0, 0.0, 0.0, 0.0, 0.0]


def test_a_table_of_no_images():
    model, (images, labels) = trained_runs.explained_model(), small_data.pictures(2)
    found = accuracy_under_attack(model, images[:0], labels[:0], epsilons=(1,))
    assert [(row.accuracy, row.images) for row in found.rows] == [(0.0, 0)] * 3
