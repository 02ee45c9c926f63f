from __future__ import annotations

import torch

from convscope.data.pytorch.augmentation.random_params import coin, integers, uniform

X = torch.zeros(4000, 1, 1, 1)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_uniform_fills_its_interval_evenly():
    values = uniform(X, rng(), (-2.0, 3.0))
    assert -2 <= float(values.min()) < -1.99
    assert 2.99 < float(values.max()) <= 3
    counts = torch.histc(values, bins=10, min=-2, max=3)
    assert (counts - 400).abs().max() < 100, "five standard deviations"


def test_integers_are_as_likely_each():
    values = integers(X, rng(), 5)
    assert values.dtype == torch.int64
    assert (values.bincount(minlength=5) - 800).abs().max() < 130, "five standard deviations"


def test_a_coin_falls_as_often_as_it_should():
    assert abs(float(coin(X, rng(), 0.2).float().mean()) - 0.2) < 0.032, "five standard deviations"
    assert not coin(X, rng(), 0.0).any()
    assert coin(X, rng(), 1.0).all()


def test_the_first_images_of_a_larger_batch_draw_the_same():
    assert torch.equal(uniform(X, rng(), (0, 1))[:10], uniform(X[:10], rng(), (0, 1)))
