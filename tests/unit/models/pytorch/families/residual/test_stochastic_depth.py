from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.models.pytorch.families.residual.stochastic_depth import StochasticDepth

shares = st.floats(0, 0.95)


@settings(deadline=None, max_examples=30)
@given(shares, st.integers(0, 10**6), st.sampled_from([(3,), (2, 3, 4), (1, 1, 1)]))
def test_an_image_is_there_whole_or_not_at_all(p, seed, shape):
    torch.manual_seed(seed)
    x = torch.randn(50, *shape, dtype=torch.float64)
    got = StochasticDepth(p)(x)
    whole = torch.isclose(got, x / (1 - p)).flatten(1).all(1)
    gone = (got == 0).flatten(1).all(1)
    assert (whole ^ gone).all()


@settings(deadline=None, max_examples=20)
@given(shares, st.integers(0, 10**6))
def test_the_mean_is_kept(p, seed):
    torch.manual_seed(seed)
    images = 20_000
    got = StochasticDepth(p)(torch.ones(images, 1, dtype=torch.float64))
    deviation = (p / (1 - p) / images) ** 0.5  # of the mean of Bernoulli draws over 1 − p
    assert abs(got.mean().item() - 1) <= 6 * deviation + 1e-12


@given(shares)
def test_evaluation_is_untouched(p):
    x = torch.randn(4, 2, 3, 3)
    assert StochasticDepth(p).eval()(x) is x


def test_with_nothing_to_leave_out_no_number_is_drawn():
    before = torch.get_rng_state()
    x = torch.randn(4, 2)
    torch.set_rng_state(before)
    assert StochasticDepth(0.0)(x) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_the_torch_seed_decides_and_what_is_left_out_learns_nothing():
    draws = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        x = torch.ones(64, 2, requires_grad=True)
        got = StochasticDepth(0.5)(x)
        got.sum().backward()
        assert torch.equal(x.grad, got.detach())
        draws.append(got.detach())
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_type_and_memory_format_stay():
    x = torch.randn(8, 4, 3, 3, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    got = StochasticDepth(0.5)(x)
    assert got.dtype == torch.bfloat16 and got.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("p", [1.0, -0.1, float("nan")])
def test_a_share_outside_0_to_1_is_refused(p):
    with pytest.raises(UserError, match=r"stochastic depth is .*; give a share from 0"):
        StochasticDepth(p)


def test_it_is_printed_with_its_share():
    assert str(StochasticDepth(0.25)) == "StochasticDepth(p=0.25)"
