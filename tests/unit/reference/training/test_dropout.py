from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.training.dropout import channel_dropout_mask, dropout, dropout_backward, dropout_mask

SHAPE = (100, 40, 5, 5)


@given(p=st.floats(0, 0.9))
def test_the_mean_stays(p):
    x = np.ones(SHAPE)
    # Of 100,000 coins, or of 4,000 with whole channels: five standard errors √(p/(1 − p)/n).
    for draw, n in ((dropout_mask, x.size), (channel_dropout_mask, 4000)):
        y = dropout(x, draw(SHAPE, np.random.default_rng(0), p=p), p=p)
        assert abs(y.mean() - 1) <= 5 * np.sqrt(p / (1 - p) / n) + 1e-12


def test_kept_numbers_are_enlarged_and_dropped_ones_have_no_gradient():
    mask = dropout_mask(SHAPE, np.random.default_rng(0), p=0.2)
    x = np.random.default_rng(1).standard_normal(SHAPE)
    np.testing.assert_allclose(dropout(x, mask, p=0.2)[mask], x[mask] / 0.8)
    assert (dropout(x, mask, p=0.2)[~mask] == 0).all()
    assert (dropout_backward(x, mask, p=0.2)[~mask] == 0).all()


def test_channels_go_as_a_whole():
    y = dropout(np.ones(SHAPE), channel_dropout_mask(SHAPE, np.random.default_rng(0)), p=0.5)
    assert set(np.unique(y.mean(axis=(2, 3)))) == {0.0, 2.0}


def test_without_dropout_nothing_changes():
    x = np.random.default_rng(1).standard_normal(SHAPE)
    np.testing.assert_array_equal(dropout(x, dropout_mask(SHAPE, np.random.default_rng(0), p=0), p=0), x)


def test_the_same_state_gives_the_same_mask():
    one, again, other = (dropout_mask(SHAPE, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_precision():
    mask = np.array([True, False])
    assert dropout(np.ones(2, np.float32), mask).dtype == np.float32
    assert dropout([1, 2], mask).dtype == np.float64


@pytest.mark.parametrize("p", [-0.1, 1.0, 2, float("nan")])
def test_p_is_a_probability_below_1(p):
    for call in (
        lambda: dropout_mask((2,), np.random.default_rng(0), p=p),
        lambda: dropout([1.0], np.array([True]), p=p),
    ):
        with pytest.raises(ValueError, match="from 0 to below 1"):
            call()


@pytest.mark.parametrize("mask", [np.ones(3, bool), np.ones((2, 3), bool), np.ones(2)])
def test_a_mask_that_does_not_fit(mask):
    with pytest.raises(ShapeError, match=r"the mask is bool and of the shape of x, \(2,\)"):
        dropout([1.0, 2.0], mask)


def test_channel_dropout_needs_maps():
    with pytest.raises(ShapeError, match="take dropout_mask"):
        channel_dropout_mask((2, 3), np.random.default_rng(0))
