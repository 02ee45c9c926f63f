from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.gradcheck import GradientError, gradcheck

X = np.array([[0.5, -1.25, 2.0], [3.0, 0.25, -0.75]])


def test_a_right_gradient_passes_to_many_digits():
    assert gradcheck(np.sin, lambda dy, x: dy * np.cos(x), X) < 1e-9


def test_two_arrays_have_two_gradients():
    w = np.array([1.0, 2.0, -3.0])
    assert gradcheck(lambda x, w: x @ w, lambda dy, x, w: (np.outer(dy, w), dy @ x), X, w) < 1e-9


def test_a_number_is_a_result_too():
    assert gradcheck(lambda x: (x**2).mean(), lambda dy, x: dy * 2 * x / x.size, X) < 1e-9
    assert gradcheck(lambda x: x**3, lambda dy, x: dy * 3 * x**2, 2.0) < 1e-9


@given(
    which=st.integers(0, 1),
    row=st.integers(0, 1),
    column=st.integers(0, 2),
    factor=st.sampled_from([0.0, -1.0, 1.01]),
)
def test_one_wrong_number_is_located(which, row, column, factor):
    def gradients(dy, a, b):
        both = [dy * b, dy * a]
        both[which][row, column] *= factor
        return both

    with pytest.raises(
        GradientError, match=rf"array {which} errs most at \({row}, {column}\): derived .*, measured "
    ):
        gradcheck(lambda a, b: a * b, gradients, X, X + 3.5, at_most=1e-6)


def test_errors_that_cancel_in_the_sum_of_the_outputs_are_detected():
    with pytest.raises(GradientError):
        gradcheck(lambda x: np.stack([x, -x]), lambda dy, x: np.zeros_like(x), X)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_nan_and_infinity_fail(wrong):
    with pytest.raises(GradientError), np.errstate(invalid="ignore"):
        gradcheck(lambda x: 2 * x, lambda dy, x: np.where(x > 2.5, wrong, 2 * dy), X)


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(GradientError, match=r"array 0 has shape \(3, 2\), the array \(2, 3\)"):
        gradcheck(lambda x: 2 * x, lambda dy, x: (2 * dy).T, X)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_another_number_of_gradients_is_refused(count):
    with pytest.raises(GradientError, match=f"2 arrays need 2 gradients, in their order; given: {count}"):
        gradcheck(lambda a, b: a + b, lambda dy, a, b: [dy] * count, X, X)


def test_integer_arrays_are_compared_like_others():
    assert gradcheck(lambda x: x**2, lambda dy, x: 2 * x * dy, np.array([1, 2, 3])) < 1e-9


def test_float32_arrays_are_compared_in_float64():
    seen = []
    gradcheck(lambda x: seen.append(x.dtype) or x, lambda dy, x: dy, X.astype(np.float32))
    assert set(seen) == {np.dtype(np.float64)}


def test_the_arrays_are_left_alone():
    def gradients(dy, x):
        x[...] = 7.0
        return dy

    x = X.copy()
    gradcheck(lambda x: x + 1, gradients, x)
    np.testing.assert_array_equal(x, X)


def test_large_and_small_numbers_get_a_step_of_their_size():
    x = np.array([1e8, 1e-8, 1.0])
    assert gradcheck(lambda x: 3 * x, lambda dy, x: 3 * dy, x) < 1e-9


def test_nothing_to_compare_is_no_error():
    assert gradcheck(lambda x: x, lambda dy, x: dy, np.zeros((0, 3))) == 0.0
    assert gradcheck(lambda x: 0 * x, lambda dy, x: 0 * dy, X) == 0.0


def test_dy_is_drawn_from_the_seed():
    seen = []
    for seed in (0, 0, 1):
        gradcheck(lambda x: x, lambda dy, x: seen.append(dy.copy()) or dy, X, seed=seed)
    assert (seen[0] == seen[1]).all()
    assert (seen[0] != seen[2]).all()


def test_gradients_too_small_to_be_measured_are_no_error_and_larger_ones_are():
    """Far out on a sigmoid the slope is 1e-11 beside a value of 1, of which differences see no digit that
    counts.
    """
    gate = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    at = np.array([25.3])
    assert gradcheck(gate, lambda dy, x: dy * gate(x) * (1 - gate(x)), at) == 0.0
    with pytest.raises(GradientError):
        gradcheck(lambda x: gate(x) + 1e-6 * x, lambda dy, x: dy * gate(x) * (1 - gate(x)), at)
