from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.training.optimizers import adam, adamw, sgd

STEPS = {
    "sgd": partial(sgd, rate=0.05),
    "momentum": partial(sgd, rate=0.01, momentum=0.9),
    "nesterov": partial(sgd, rate=0.01, momentum=0.9, nesterov=True),
    "adam": partial(adam, rate=0.05),
    "adamw": partial(adamw, rate=0.05, weight_decay=0.0),
}


@pytest.mark.parametrize("name", STEPS)
def test_they_find_the_lowest_point(name):
    goal, state = {"w": np.array([1.0, -2.0]), "b": np.array(0.5)}, None
    weights = {"w": np.zeros(2), "b": np.array(3.0)}
    for _ in range(1000):
        gradients = {
            n: np.array([1.0, 10.0])[: w.size].reshape(w.shape) * (w - goal[n]) for n, w in weights.items()
        }
        weights, state = STEPS[name](weights, gradients, state)
    for n, expected in goal.items():
        np.testing.assert_allclose(weights[n], expected, atol=1e-3)


@pytest.mark.parametrize("name", STEPS)
def test_they_are_pure(name):
    weights, gradients = {"w": np.ones(3)}, {"w": np.full(3, 2.0)}
    one, state = STEPS[name](weights, gradients, None)
    again, _ = STEPS[name](weights, gradients, None)
    np.testing.assert_array_equal(one["w"], again["w"])
    assert weights["w"].tolist() == [1, 1, 1]
    assert gradients["w"].tolist() == [2, 2, 2]
    # The old state can be stepped from again, with the same outcome.
    two, _ = STEPS[name](one, gradients, state)
    again, _ = STEPS[name](one, gradients, state)
    np.testing.assert_array_equal(two["w"], again["w"])


@pytest.mark.parametrize("name", STEPS)
def test_float32_stays(name):
    weights, state = {"w": np.ones(3, np.float32)}, None
    for _ in range(3):
        weights, state = STEPS[name](weights, {"w": np.ones(3, np.float32)}, state)
    assert weights["w"].dtype == np.float32


def test_momentum_sums_up_to_ten_gradients():
    weights, state = {"w": np.zeros(1)}, None
    for _ in range(200):
        weights, state = sgd(weights, {"w": np.ones(1)}, state, rate=0.1, momentum=0.9)
    assert state["w"] == pytest.approx(10)


@given(scale=st.floats(1e-3, 1e6))
def test_adam_moves_by_the_rate_whatever_the_scale(scale):
    weights, state = {"w": np.zeros(2)}, None
    for step in range(1, 4):
        weights, state = adam(weights, {"w": np.array([scale, -scale])}, state, rate=0.01)
        np.testing.assert_allclose(weights["w"], [-0.01 * step, 0.01 * step], rtol=1e-4)


def test_adamw_decays_all_weights_by_the_same_fraction_and_adam_does_not():
    weights, gradients = {"w": np.array([1.0, 1.0])}, {"w": np.array([1000.0, 0.001])}
    plain, _ = adam(weights, gradients, None, rate=0.01)
    beside, _ = adamw(weights, gradients, None, rate=0.01, weight_decay=0.5)
    np.testing.assert_allclose(plain["w"] - beside["w"], 0.01 * 0.5 * weights["w"])
    steps = [{"w": gradients["w"]}, {"w": -gradients["w"]}]
    lost = []
    for decay in (0.0, 0.5):
        moved, state = weights, None
        for g in steps:
            moved, state = adam(moved, g, state, rate=0.01, weight_decay=decay)
        lost.append(moved["w"])
    assert np.ptp(lost[0] - lost[1]) > 1e-3


@pytest.mark.parametrize("name", STEPS)
def test_gradients_that_do_not_match(name):
    step = STEPS[name]
    with pytest.raises(ShapeError, match="without a partner: b, w"):
        step({"w": np.ones(2)}, {"b": np.ones(2)}, None)
    with pytest.raises(ShapeError, match=r"the gradient of w has shape \(3,\) and needs \(2,\)"):
        step({"w": np.ones(2)}, {"w": np.ones(3)}, None)
    with pytest.raises(TypeError, match="w is int64; weights are float32 or float64"):
        step({"w": np.array([1, 2])}, {"w": np.ones(2)}, None)


@pytest.mark.parametrize(
    ("step", "options"),
    [
        (sgd, {"rate": -1}),
        (sgd, {"rate": float("nan")}),
        (sgd, {"rate": 0.1, "momentum": 1.0}),
        (sgd, {"rate": 0.1, "weight_decay": -1}),
        (adam, {"rate": -1}),
        (adam, {"betas": (0.9, 1.0)}),
        (adamw, {"eps": 0.0}),
        (adamw, {"weight_decay": float("nan")}),
    ],
)
def test_numbers_out_of_range(step, options):
    with pytest.raises(ValueError, match="at least 0"):
        step({"w": np.ones(2)}, {"w": np.ones(2)}, None, **options)


def test_nesterov_needs_momentum():
    with pytest.raises(ValueError, match=r"give momentum, such as 0\.9"):
        sgd({"w": np.ones(2)}, {"w": np.ones(2)}, None, rate=0.1, nesterov=True)
