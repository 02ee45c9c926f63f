from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.normalisation.batch_norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_eval,
    batch_norm_eval_backward,
    running_statistics,
)
from convscope.reference.normalisation.layer_and_group_norm import (
    group_norm,
    group_norm_backward,
    instance_norm,
    layer_norm,
    layer_norm_backward,
)
from convscope.reference.normalisation.standardise import (
    scale_and_shift_backward,
    standardise,
    standardise_backward,
)

RNG = np.random.default_rng(0)
X = 5 + 3 * RNG.standard_normal((4, 6, 5, 7))
ONE, ZERO = np.ones(6), np.zeros(6)
NORMS = {
    "batch": (lambda x: batch_norm(x, ONE, ZERO, eps=0), (0, 2, 3)),
    "layer": (lambda x: layer_norm(x, np.ones((6, 5, 7)), np.zeros((6, 5, 7)), eps=0), (1, 2, 3)),
    "last axis": (lambda x: layer_norm(x, np.ones(7), np.zeros(7), eps=0), (3,)),
    "group of all": (lambda x: group_norm(x, ONE, ZERO, groups=1, eps=0), (1, 2, 3)),
    "instance": (lambda x: instance_norm(x, ONE, ZERO, eps=0), (2, 3)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NORMS)
@given(scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_whatever_comes_in_mean_0_and_variance_1_come_out(name, scale, shift):
    norm, axes = NORMS[name]
    y = norm(scale * X + shift)
    np.testing.assert_allclose(y.mean(axis=axes), 0, atol=1e-8)
    np.testing.assert_allclose(y.var(axis=axes), 1, atol=1e-8)
    np.testing.assert_allclose(y, norm(X), atol=1e-6)


def test_gamma_and_beta_are_deviation_and_mean():
    gamma, beta = np.arange(1.0, 7), np.arange(6.0)
    y = batch_norm(X, gamma, beta, eps=0)
    np.testing.assert_allclose(y.std(axis=(0, 2, 3)), gamma)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), beta, atol=1e-12)


def test_groups_run_from_layer_norm_to_instance_norm():
    np.testing.assert_allclose(
        group_norm(X, ONE, ZERO, groups=1), layer_norm(X, np.ones((6, 5, 7)), np.zeros((6, 5, 7)))
    )
    np.testing.assert_array_equal(group_norm(X, ONE, ZERO, groups=6), instance_norm(X, ONE, ZERO))
    halves = [group_norm(half, ONE[:3], ZERO[:3], groups=1) for half in (X[:, :3], X[:, 3:])]
    np.testing.assert_allclose(group_norm(X, ONE, ZERO, groups=2), np.concatenate(halves, axis=1))


def test_all_but_batch_norm_are_independent_of_the_batch():
    for name in ("layer", "group of all", "instance"):
        norm, _ = NORMS[name]
        np.testing.assert_allclose(norm(X)[:1], norm(X[:1]))
    assert np.abs(batch_norm(X, ONE, ZERO)[:1] - batch_norm(X[:1], ONE, ZERO)).max() > 0.1


@given(seed=st.integers(0, 99))
def test_the_gradient_is_orthogonal_to_a_shift_and_a_stretch(seed):
    x, dy = np.random.default_rng(seed).standard_normal((2, 3, 20))
    dx = standardise_backward(dy, x, (1,), eps=0)
    np.testing.assert_allclose(dx.sum(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose((dx * x).sum(axis=1), 0, atol=1e-12)


def test_two_numbers_have_all_but_no_gradient():
    # x̂ is −1 and 1 whatever they are; what is left is of the order of ε.
    dx = standardise_backward([[1.0, -0.5]], [[3.0, 8.0]], (1,))
    assert np.abs(dx).max() < 1e-5


def test_constant_numbers_become_0_and_not_0_by_0():
    assert (batch_norm(np.full((4, 6, 2, 2), 7.0), ONE, ZERO) == 0).all()
    assert np.isfinite(batch_norm_backward(X, np.full(X.shape, 7.0), ONE)[0]).all()


def test_a_large_mean_costs_no_digits_that_are_there():
    x = np.array([[1e8 + 1], [1e8 + 2], [1e8 + 3]])
    np.testing.assert_allclose(standardise(x, (0,), eps=0)[:, 0], [-np.sqrt(1.5), 0, np.sqrt(1.5)], rtol=1e-7)
    y = batch_norm_eval(x, [1.0], [0.0], mean=[1e8 + 2], var=[1.0], eps=0)
    assert y[:, 0].tolist() == [-1, 0, 1]


def test_running_statistics_converge_to_those_of_the_data():
    mean, var, rng = np.zeros(2), np.ones(2), np.random.default_rng(0)
    for _ in range(500):
        batch = np.array([3.0, -1.0]) + np.array([2.0, 0.5]) * rng.standard_normal((8, 2))
        mean, var = running_statistics(batch, mean, var, momentum=0.02)
    # An average of the last hundred batches of 8: some 0.07 for the mean. A biased variance would be 3.5 and
    # 0.22.
    np.testing.assert_allclose(mean, [3, -1], atol=0.2)
    np.testing.assert_allclose(var, [4, 0.25], rtol=0.1)


def test_evaluation_with_the_statistics_of_a_batch_is_training_on_it():
    mean, var = X.mean(axis=(0, 2, 3)), X.var(axis=(0, 2, 3))
    gamma, beta = RNG.standard_normal((2, 6))
    np.testing.assert_allclose(
        batch_norm_eval(X, gamma, beta, mean=mean, var=var), batch_norm(X, gamma, beta), atol=1e-12
    )
    # Their gradients differ: in evaluation the statistics are constants.
    frozen = batch_norm_eval_backward(np.ones_like(X), X, ONE, mean=mean, var=var)[0]
    assert np.abs(frozen).min() > 0.1
    assert np.abs(batch_norm_backward(np.ones_like(X), X, ONE)[0]).max() < 1e-12


def test_precision_and_integers():
    single = X.astype(np.float32)
    assert batch_norm(single, ONE.astype(np.float32), ZERO.astype(np.float32)).dtype == np.float32
    assert batch_norm([[1], [3]], [1], [0], eps=0).tolist() == [[-1.0], [1.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: batch_norm(X[:1, :, :1, :1], ONE, ZERO), r"m = 1 number\(s\).*needs m of 2 or more"),
        (lambda: batch_norm(X[:0], ONE, ZERO), r"m = 0 number"),
        (lambda: batch_norm(X, np.ones(5), ZERO), r"gamma has shape \(5,\) and needs \(6,\)"),
        (lambda: batch_norm(X, ONE, np.zeros((6, 1))), r"beta has shape \(6, 1\) and needs \(6,\)"),
        (lambda: batch_norm(X[0, 0, 0], ONE, ZERO), r"N×C×H×W or N×C; given: \(7,\)"),
        (
            lambda: batch_norm_eval(X, ONE, ZERO, mean=np.zeros(5), var=ONE),
            r"mean has shape \(5,\) and needs \(6,\)",
        ),
        (lambda: running_statistics(X, np.zeros(5), ONE), r"mean has shape \(5,\) and needs \(6,\)"),
        (lambda: running_statistics(X[:1, :, :1, :1], ZERO, ONE), r"m = 1 .*m - 1 divides"),
        (lambda: layer_norm(X, np.ones(6), np.zeros(6)), r"gamma has shape \(6,\) and needs \(7,\)"),
        (lambda: layer_norm(X, np.ones(()), np.zeros(())), r"gamma has shape \(\)"),
        (lambda: layer_norm(X[..., :1], np.ones(1), np.zeros(1)), r"m = 1"),
        (lambda: layer_norm_backward(X[:1], X, np.ones(7)), r"dy has shape \(1, 6, 5, 7\)"),
        (lambda: group_norm(X, ONE, ZERO, groups=4), r"groups .*C = 6.*4"),
        (lambda: group_norm(X, ONE, ZERO, groups=0), r"groups .*C = 6.*0"),
        (lambda: group_norm_backward(X[:1], X, ONE, groups=2), r"dy has shape"),
        (lambda: instance_norm(X[:, :, :1, :1], ONE, ZERO), r"m = 1"),
        (lambda: instance_norm(X[0], ONE, ZERO), r"x is N×C×H×W"),
        (lambda: standardise_backward(X[0], X, (0,)), r"dy has shape"),
        (lambda: scale_and_shift_backward(X[0], X, ONE, axes=(1,)), r"dy has shape"),
    ],
)
def test_sizes_that_do_not_fit(call, message):
    with pytest.raises(ShapeError, match=message):
        call()


def test_momentum_is_a_fraction():
    with pytest.raises(ValueError, match=r"momentum is 1\.5; .* from 0 to 1"):
        running_statistics(X, ZERO, ONE, momentum=1.5)
