from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.tasks.classification.pytorch.losses import (
    IMBALANCE,
    class_weights,
    focal_loss,
    make_loss,
    sampling_weights,
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


@given(hnp.arrays(np.int64, st.integers(1, 20), elements=st.integers(0, 10**6)))
def test_the_mean_weight_of_an_image_is_one(counts):
    if not counts.any():
        with pytest.raises(UserError, match="no training images"):
            class_weights(counts)
        return
    weights = class_weights(counts)
    assert (weights * counts).sum() / counts.sum() == pytest.approx(1.0)
    assert ((weights == 0) == (counts == 0)).all()


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_every_class_is_drawn_equally_often(labels):
    weights = sampling_weights(labels)
    assert weights.sum() == pytest.approx(1.0)
    share = np.bincount(labels, weights=weights)
    present = sorted(set(labels))
    assert share[present] == pytest.approx(1.0 / len(present))


def test_class_weights_are_scikit_learns_balanced_ones():
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.repeat(np.arange(4), COUNTS)
    assert class_weights(COUNTS) == pytest.approx(
        compute_class_weight("balanced", classes=np.arange(4), y=labels)
    )


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
