from __future__ import annotations

import itertools
import math
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.training.schedule import Moment, multiplier, plateau, schedules

NAMES = list(schedules)


def torch_rates(make, steps: int) -> list[float]:
    """The rates that one of torch's schedulers gives to a peak rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns when a scheduler is asked for its very last step
        scheduler = make(optimizer)
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
    return rates


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@given(
    total=st.integers(1, 400),
    share=st.floats(0, 1),
    step=st.integers(0, 500),
    losses=st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30),
)
def test_every_multiplier_lies_between_0_and_1(name, total, share, step, losses):
    value = multiplier(name, step, total, warmup=round(share * total), losses=losses)
    assert 0.0 <= value <= 1.0


@pytest.mark.parametrize("name", NAMES)
@given(total=st.integers(1, 300), warmup=st.integers(0, 100))
def test_warmup_is_linear_and_no_step_has_rate_zero(name, total, warmup):
    values = [multiplier(name, step, total, warmup=warmup) for step in range(total)]
    expected = [(step + 1) / (warmup + 1) for step in range(min(warmup, total))]
    assert values[:warmup] == pytest.approx(expected)
    assert min(values) > 0.0
    if warmup < total:
        assert values[warmup] == 1.0


@pytest.mark.parametrize("name", NAMES)
@given(total=st.integers(2, 300), share=st.floats(0, 0.9))
def test_after_the_warmup_no_schedule_rises(name, total, share):
    warmup = int(share * total)
    values = [multiplier(name, step, total, warmup=warmup) for step in range(warmup, total)]
    assert all(b <= a for a, b in itertools.pairwise(values))


def test_constant_is_constant():
    assert {multiplier("constant", step, 10) for step in range(10)} == {1.0}


@pytest.mark.parametrize("total", [1, 7, 100])
def test_cosine_equals_torch(total):
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=total), total)
    assert [multiplier("cosine", s, total) for s in range(total)] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("every", "total"), [(3, 12), (5, 20), (10, 40)])
def test_step_equals_torch_step_lr(every, total):
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.StepLR(o, every, gamma=0.3), total)
    milestones = [k * every / total for k in range(1, total // every)]
    ours = [multiplier("step", s, total, milestones=milestones, drop=0.3) for s in range(total)]
    assert ours == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(("total", "warmup"), [(20, 5), (100, 30), (10, 1)])
def test_one_cycle_equals_torch_one_cycle(total, warmup):
    def make(optimizer):
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=1.0,
            total_steps=total + 1,  # ours reaches zero one past the last step, torch's in its last
            pct_start=(warmup + 1) / (total + 1),
            anneal_strategy="linear",
            div_factor=warmup + 1,
            final_div_factor=math.inf,
            cycle_momentum=False,
        )

    ours = [multiplier("one_cycle", s, total, warmup=warmup) for s in range(total)]
    assert ours == pytest.approx(torch_rates(make, total), abs=1e-9)


@given(
    losses=st.lists(st.one_of(st.floats(0, 10), st.just(math.nan)), max_size=40),
    patience=st.integers(0, 5),
    drop=st.sampled_from([0.1, 0.5]),
)
def test_plateau_equals_torch(losses, patience, drop):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=drop, patience=patience, eps=0.0)
    for loss in losses:
        scheduler.step(loss)
    expected = optimizer.param_groups[0]["lr"]
    assert plateau(Moment(0.0, losses, patience=patience, drop=drop)) == pytest.approx(expected, rel=1e-9)


def test_plateau_sees_only_the_losses():
    falling = [1.0, 0.9, 0.8]
    stuck = [1.0] * 8
    assert multiplier("plateau", 900, 1000, losses=falling) == 1.0
    assert multiplier("plateau", 0, 1000, losses=stuck) == pytest.approx(0.1)


def test_a_warmup_as_long_as_training_only_rises():
    values = [multiplier("cosine", s, 4, warmup=4) for s in range(4)]
    assert values == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_a_step_past_the_end_gets_the_last_value():
    assert multiplier("one_cycle", 99, 10, warmup=2) == 0.0
    assert multiplier("step", 99, 10) == pytest.approx(0.01)


@pytest.mark.parametrize("name", NAMES)
def test_the_configuration_accepts_every_schedule(name):
    assert RunConfig.from_dict({"train": {"schedule": name}}).train.schedule == name


def test_an_unknown_schedule_names_the_nearest():
    with pytest.raises(UserError, match="did you mean 'one_cycle'"):
        multiplier("onecycle", 0, 10)


@pytest.mark.parametrize(("step", "total", "warmup"), [(-1, 10, 0), (0, 0, 0), (0, 10, -1)])
def test_impossible_numbers_are_refused(step, total, warmup):
    with pytest.raises(UserError, match="schedule got step"):
        multiplier("cosine", step, total, warmup=warmup)


def test_a_drop_is_a_factor():
    with pytest.raises(UserError, match="from 0 to 1"):
        multiplier("step", 0, 10, drop=10)
