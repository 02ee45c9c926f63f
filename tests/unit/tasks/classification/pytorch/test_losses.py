from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.config import RunConfig, TrainConfig
from convscope.core.errors import UserError
from convscope.tasks.classification.imbalance import class_weights
from convscope.tasks.classification.pytorch.losses import (
    IMBALANCE,
    ClassificationLoss,
    focal_loss,
    make_loss,
    target_distribution,
)

COUNTS = [60, 30, 10, 1]


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(16, 4, generator=generator) * 3, torch.randint(4, (16,), generator=generator)


def one_hot(targets: torch.Tensor) -> torch.Tensor:
    return F.one_hot(targets, 4).float()


@pytest.mark.parametrize("imbalance", ["none", "sampler"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_plain_loss_is_cross_entropy(batch, imbalance, smoothing):
    logits, targets = batch
    loss = make_loss(COUNTS, imbalance=imbalance, label_smoothing=smoothing)
    torch.testing.assert_close(
        loss(logits, targets), F.cross_entropy(logits, targets, label_smoothing=smoothing)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_weighted_loss_is_torchs_with_the_mean_over_images(batch, smoothing):
    logits, targets = batch
    weights = torch.tensor(class_weights(COUNTS)).float()
    expected = F.cross_entropy(logits, targets, weights, label_smoothing=smoothing, reduction="none").mean()
    loss = make_loss(COUNTS, imbalance="weights", label_smoothing=smoothing)
    torch.testing.assert_close(loss(logits, targets), expected)


def test_focal_is_the_formula_of_its_paper(batch):
    logits, targets = batch
    p = torch.softmax(logits.double(), dim=1)[torch.arange(16), targets]
    expected = (-((1 - p) ** 2.0) * p.log()).mean().float()
    torch.testing.assert_close(make_loss(COUNTS, imbalance="focal")(logits, targets), expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_focal_with_gamma_0_is_cross_entropy(batch, smoothing):
    logits, targets = batch
    focal = focal_loss(logits, targets, gamma=0.0, label_smoothing=smoothing)
    torch.testing.assert_close(focal, F.cross_entropy(logits, targets, label_smoothing=smoothing))


@pytest.mark.parametrize("imbalance", IMBALANCE)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_one_hot_distribution_is_the_index(batch, imbalance, smoothing):
    logits, targets = batch
    loss = make_loss(COUNTS, imbalance=imbalance, label_smoothing=smoothing)
    torch.testing.assert_close(loss(logits, one_hot(targets)), loss(logits, targets))


@pytest.mark.parametrize("imbalance", IMBALANCE)
def test_a_mixture_of_targets_is_the_mixture_of_losses(batch, imbalance):
    logits, targets = batch
    other = targets.flip(0)
    loss = make_loss(COUNTS, imbalance=imbalance)
    mixed = loss(logits, 0.3 * one_hot(targets) + 0.7 * one_hot(other))
    torch.testing.assert_close(mixed, 0.3 * loss(logits, targets) + 0.7 * loss(logits, other))


@pytest.mark.parametrize("imbalance", IMBALANCE)
def test_two_halves_give_the_gradient_of_the_whole(batch, imbalance):
    """What gradient accumulation rests on; torch's own weighted mean would not pass."""
    logits, targets = batch
    loss = make_loss(COUNTS, imbalance=imbalance)
    whole = loss(logits, targets)
    halves = (loss(logits[:8], targets[:8]) + loss(logits[8:], targets[8:])) / 2
    torch.testing.assert_close(whole, halves)


@pytest.mark.parametrize("imbalance", IMBALANCE)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_give_a_float32_loss(batch, imbalance, dtype):
    logits, targets = batch
    loss = make_loss(COUNTS, imbalance=imbalance)
    value = loss(logits.to(dtype), targets)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loss(logits.to(dtype).float(), targets))


@pytest.mark.parametrize("imbalance", IMBALANCE)
def test_half_precision_soft_targets_are_taken(batch, imbalance):
    logits, targets = batch
    assert torch.isfinite(
        make_loss(COUNTS, imbalance=imbalance)(logits.bfloat16(), one_hot(targets).bfloat16())
    )


@pytest.mark.parametrize("imbalance", IMBALANCE)
def test_the_gradient_is_that_of_finite_differences(imbalance):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 4, generator=generator)
    soft = torch.softmax(torch.randn(3, 4, generator=generator), dim=1)
    loss = make_loss(COUNTS, imbalance=imbalance, label_smoothing=0.1)
    given_logits = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(given_logits, soft), given_logits)
    for row, column in [(0, 0), (1, 2), (2, 3)]:
        shift = torch.zeros_like(logits)
        shift[row, column] = 1e-2  # float32 losses: a smaller step drowns in rounding
        slope = (loss(logits + shift, soft) - loss(logits - shift, soft)) / 2e-2
        assert slope.item() == pytest.approx(gradient[row, column].item(), abs=2e-4)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("size", [1.0, 100.0, 1e4])
def test_focal_and_its_gradient_are_finite_however_sure_the_network_is(gamma, size):
    logits = torch.tensor([[size, 0.0], [0.0, size]], requires_grad=True)
    loss = focal_loss(logits, torch.tensor([0, 0]), gamma=gamma)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()


@settings(max_examples=30)
@given(st.floats(0, 0.99), st.integers(2, 10))
def test_smoothed_targets_are_distributions(smoothing, classes):
    q = target_distribution(torch.arange(classes), classes, smoothing)
    torch.testing.assert_close(q.sum(dim=1), torch.ones(classes))
    assert (q.argmax(dim=1) == torch.arange(classes)).all()


@pytest.mark.parametrize("imbalance", IMBALANCE)
def test_the_configuration_accepts_every_switch(imbalance):
    assert RunConfig.from_dict({"train": {"imbalance": imbalance}}).train.imbalance == imbalance


def test_hostile_arguments_are_explained():
    with pytest.raises(UserError, match="did you mean 'weights'"):
        make_loss(COUNTS, imbalance="weight")
    with pytest.raises(UserError, match="label smoothing is 1"):
        make_loss(COUNTS, label_smoothing=1.0)
    with pytest.raises(UserError, match="gamma"):
        make_loss(COUNTS, imbalance="focal", gamma=float("nan"))


@pytest.mark.parametrize("imbalance", IMBALANCE)
def test_the_loss_of_a_training_is_that_of_its_settings_and_labels(batch, imbalance):
    logits, targets = batch
    labels = np.repeat(np.arange(4), COUNTS)
    loss = ClassificationLoss(TrainConfig(imbalance=imbalance, label_smoothing=0.1), labels, 5)
    expected = make_loss([*COUNTS, 0], imbalance=imbalance, label_smoothing=0.1)
    wide = F.pad(logits, (0, 1))
    torch.testing.assert_close(loss(wide, targets), expected(wide, targets))
    assert (loss.sampling is not None) == (imbalance == "sampler")


def test_the_score_counts_what_is_right_also_of_mixed_targets():
    loss = ClassificationLoss(TrainConfig(), np.array([0, 1, 2]), 3)
    logits, labels = torch.eye(3), torch.tensor([0, 2, 2])
    assert loss.score(logits, labels).item() == 2
    mixed = 0.6 * loss.mixable(labels) + 0.4 * loss.mixable(labels.flip(0))
    assert mixed.dtype == torch.float32 and mixed.shape == (3, 3)
    assert loss.score(logits, mixed).item() == 2
