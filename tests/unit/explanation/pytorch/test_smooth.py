"""SmoothGrad is the mean gradient over the noise that it says, and the same each time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import small_data
import trained_runs
from convscope.explanation.methods import methods
from convscope.explanation.pytorch.gradients import input_gradient
from convscope.explanation.pytorch.smooth import smooth_gradient, unit_noise


def curved(channels=1):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(channels, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(48, 3)).double()


def images(channels=1):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, channels, 6, 6, generator=generator, dtype=torch.float64), torch.tensor([0, 2, 1])


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_the_mean_over_noisy_copies(channels):
    net, (x, targets) = curved(channels), images(channels)
    noise = unit_noise(x.shape[1:], 5, seed=9)
    for n, target in enumerate(targets):
        spread = 0.3 * (x[n].max() - x[n].min())
        gradients = [input_gradient(net, x[n : n + 1] + spread * one, target[None])[0] for one in noise]
        found = smooth_gradient(net, x, targets, copies=5, spread=0.3, seed=9)[n]
        assert found.numpy() == pytest.approx(torch.stack(gradients).mean(dim=0).numpy(), abs=1e-12)


def test_the_seed_decides_and_without_noise_it_is_the_slope():
    net, (x, targets) = curved(), images()
    assert torch.equal(smooth_gradient(net, x, targets), smooth_gradient(net, x, targets))
    assert not torch.allclose(smooth_gradient(net, x, targets), smooth_gradient(net, x, targets, seed=1))
    gradients = input_gradient(net, x, targets)
    assert torch.allclose(smooth_gradient(net, x, targets, spread=0.0), gradients)
    even = torch.ones_like(x)  # no range, no noise
    assert torch.allclose(smooth_gradient(net, even, targets), input_gradient(net, even, targets))


def test_the_noise_is_normal_and_each_copy_another():
    noise = unit_noise((3, 20, 20), 30, seed=0).numpy()
    assert noise.shape == (30, 3, 20, 20)
    assert abs(noise.mean()) < 0.02 and noise.std() == pytest.approx(1, abs=0.02)
    assert np.abs(np.corrcoef(noise.reshape(30, -1)) - np.eye(30)).max() < 0.2


def test_it_does_not_touch_other_random_numbers():
    explained_model = trained_runs.explained_model()
    before = torch.random.get_rng_state()
    methods["smooth_grad"].compute(explained_model, *small_data.pictures(2))
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_map_is_smoother_than_the_slope():
    """Noise of the gradient from one pixel to the next, as a share of its size, falls."""
    explained_model = trained_runs.explained_model()
    pictures, labels = small_data.pictures(20, seed=4)

    def roughness(name):
        maps = methods[name].compute(explained_model, pictures, labels)
        return (np.abs(np.diff(maps, axis=2)).mean(axis=(1, 2)) / maps.mean(axis=(1, 2))).mean()

    assert roughness("smooth_grad") < roughness("saliency")
