"""Integrated gradients add up; where they do not, more steps are taken, and in the end it is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import small_data
import trained_runs
from convscope.explanation.attribute import explain_images
from convscope.explanation.attribution import gradients, integrated
from convscope.explanation.attribution.integrated import TOLERANCE
from convscope.explanation.methods import methods
from on_torch import on_torch

WHOLE = integrated.integrated_gradients
integrated_gradients, complete_shares = on_torch(WHOLE), on_torch(integrated.complete_shares)


class Formula(nn.Module):
    """Logits (f(Σ pixels), 0) of an image."""

    def __init__(self, formula):
        super().__init__()
        self.formula, self.largest, self.passes = formula, 0, 0

    def forward(self, x):
        self.largest, self.passes = max(self.largest, len(x)), self.passes + len(x)
        total = x.flatten(1).sum(dim=1)
        return torch.stack([self.formula(total), 0 * total], dim=1)


def flat(*values, side=2):
    """An image a value, whose pixels add up to it."""
    return torch.tensor(values, dtype=torch.float64).view(-1, 1, 1, 1).expand(-1, 1, side, side) / side**2


def zeros(x):
    return torch.zeros(len(x), dtype=torch.long)


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), steps=st.integers(1, 40), channels=st.sampled_from([1, 3]))
def test_of_a_linear_network_each_share_is_known(seed, steps, channels):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Flatten(), nn.Linear(channels * 6, 3)).double()
    x, baseline = (
        torch.randn(2, channels, 2, 3, dtype=torch.float64),
        torch.randn(channels, 2, 3, dtype=torch.float64),
    )
    targets = torch.tensor([2, 0])
    shares, gap = integrated_gradients(net, x, targets, baseline=baseline, steps=steps)
    wanted = (x - baseline) * net[1].weight.detach()[targets].view_as(x)
    assert shares.numpy() == pytest.approx(wanted.numpy(), abs=1e-12)
    assert gap.numpy() == pytest.approx(np.zeros(2), abs=1e-12)


@pytest.mark.parametrize("degree", [2, 5, 9])
def test_n_points_are_exact_for_a_power_of_2n(degree):
    """Gauss–Legendre: n points integrate polynomials of degree 2n − 1, the gradient of a power of 2n."""
    net, x = Formula(lambda t: t**degree), flat(1.5, -0.7)
    enough = -(-degree // 2)
    assert float(integrated_gradients(net, x, zeros(x), steps=enough)[1].abs().max()) < 1e-12
    if degree > 2:
        assert float(integrated_gradients(net, x, zeros(x), steps=enough - 1)[1].abs().max()) > 1e-6


def test_the_gap_is_what_the_shares_miss():
    net, x, baseline = Formula(torch.relu), flat(1.0, 3.0, -1.0), flat(-1.7)[0]
    shares, gap = integrated_gradients(net, x, zeros(x), baseline=baseline, steps=8)
    change = torch.tensor([1.0, 3.0, 0.0], dtype=torch.float64)
    assert (shares.sum(dim=(1, 2, 3)) - gap).numpy() == pytest.approx(change.numpy(), abs=1e-12)
    assert float(gap[:2].abs().min()) > 1e-3 and float(gap[2]) == 0


def test_a_baseline_of_each_image_is_its_own():
    net, x, baseline = Formula(torch.exp), flat(1.0, 2.0), flat(0.5, -1.0)
    both = integrated_gradients(net, x, zeros(x), baseline=baseline)[0]
    alone = integrated_gradients(net, x[1:], zeros(x[1:]), baseline=baseline[1])[0]
    assert torch.allclose(both[1:], alone)
    assert float(both[1].sum()) == pytest.approx(np.exp(2) - np.exp(-1))


def test_only_images_that_need_them_get_more_steps(monkeypatch):
    asked = []

    def counted(probe, x, targets, *, baseline, steps):
        asked.append((x.sum(axis=(1, 2, 3)).round(3).tolist(), steps))
        return WHOLE(probe, x, targets, baseline=baseline, steps=steps)

    monkeypatch.setattr(integrated, "integrated_gradients", counted)
    net, x = Formula(lambda t: torch.relu(t - 1) + 0.01 * t), flat(0.9, 1.37, -4.0)
    shares = complete_shares(net, x, zeros(x))
    assert asked == [([0.9, 1.37, -4.0], 32), ([1.37], 256)]
    change = torch.tensor([0.009, 0.37 + 0.0137, -0.04], dtype=torch.float64)
    missing = (shares.sum(dim=(1, 2, 3)) - change).abs()
    assert bool((missing <= TOLERANCE * shares.abs().sum(dim=(1, 2, 3)) + 1e-4).all())


def test_images_whose_logits_jump_have_no_shares_and_the_others_keep_theirs():
    net, x = Formula(lambda t: 5.0 * (t > 1) + 0.1 * t), flat(0.5, 2.0, 3.0)
    shares = complete_shares(net, x, zeros(x))
    assert shares.isnan().all(dim=3).all(dim=2).flatten().tolist() == [False, True, True]
    assert float(shares[0].sum()) == pytest.approx(0.05)


def test_a_jump_is_the_reason_that_is_told(monkeypatch):
    monkeypatch.setattr(integrated, "TOLERANCE", -1.0)
    model = trained_runs.explained_model(1)
    images, labels = small_data.pictures(2)
    told = explain_images(model, images, methods["integrated_gradients"], targets=labels).refused
    assert all("do not add up in 256 steps" in reason for reason in told)


def test_rounding_is_no_gap():
    """A million times what is explained stands on the logit as a constant, whose float32 knows sixteenths."""
    net, x = Formula(lambda t: 1e6 + 0.9 * t), flat(1.0, 1.1).float()
    assert complete_shares(net, x, zeros(x)).sum(dim=(1, 2, 3)).numpy() == pytest.approx(
        [0.9, 0.99], rel=1e-4
    )
    assert net.passes == 2 * 32 + 3 * 2  # one round


def test_nan_is_not_searched_for():
    net, x = Formula(lambda t: t * torch.nan), flat(1.0, 2.0)
    assert complete_shares(net, x, zeros(x)).isnan().all()
    assert net.passes == 2 * 32 + 3 * 2


def test_a_blind_network_has_shares_of_zero():
    x = flat(1.0, 2.0)
    assert not complete_shares(Formula(lambda t: 0 * t + 3), x, zeros(x)).any()


@pytest.mark.parametrize(("count", "side", "most"), [(1, 300, 2), (40, 4, 64), (2, 700, 1)])
def test_memory_is_bounded_by_batches(count, side, most):
    net, x = Formula(torch.exp), flat(*np.linspace(0.1, 1, count), side=side)
    integrated_gradients(net, x, zeros(x), steps=5)
    assert net.largest == most <= max(1, gradients.MOST_PIXELS // side**2)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_map_adds_up_to_the_change_from_the_mean_colour(channels):
    model = trained_runs.explained_model(channels)
    images, labels = small_data.pictures(9, channels=channels, seed=3)
    found = explain_images(model, images, methods["integrated_gradients"], targets=labels)
    assert found.refused == (None,) * 9
    grey = np.full_like(images[:1], 102)  # 0.4 · 255
    logits, blank = model.predictor.predict(images), model.predictor.predict(grey)
    change = (logits - blank)[np.arange(9), labels]
    assert found.heat_maps.sum(axis=(1, 2)) == pytest.approx(change, rel=0.02, abs=0.02)
