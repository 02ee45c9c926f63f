from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.losses.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward

X = np.linspace(-8, 8, 161)
PAIRS = {"softmax": (softmax, softmax_backward), "log_softmax": (log_softmax, log_softmax_backward)}
LOGITS = st.lists(st.floats(-50, 50), min_size=1, max_size=6)


@pytest.mark.parametrize("name", PAIRS)
def test_precision_stays_and_integers_become_floats(name):
    function, backward = PAIRS[name]
    for dtype in (np.float32, np.float64):
        assert function(X.astype(dtype)).dtype == dtype
        assert backward(X.astype(dtype), X.astype(dtype)).dtype == dtype
    assert function(np.array([1, 2])).dtype == np.float64
    with pytest.raises(TypeError, match="float32 and float64"):
        function(X.astype(complex))


@pytest.mark.parametrize("name", PAIRS)
def test_a_gradient_of_another_shape(name):
    with pytest.raises(ShapeError, match=r"dy has shape \(2,\) and needs \(3,\)"):
        PAIRS[name][1](np.ones(2), np.ones(3))


@given(logits=LOGITS, shift=st.floats(-1e3, 1e3))
def test_softmax_sums_to_1_and_ignores_a_shift(logits, shift):
    x = np.array(logits)
    assert softmax(x).sum() == pytest.approx(1, abs=1e-14)
    # A shift rounds x itself, by some 1e-13 at a thousand.
    np.testing.assert_allclose(softmax(x + shift), softmax(x), rtol=1e-11)
    np.testing.assert_allclose(log_softmax(x + shift), log_softmax(x), atol=1e-11)
    np.testing.assert_allclose(np.exp(log_softmax(x)), softmax(x), rtol=1e-12)


@given(logits=LOGITS)
def test_their_gradients_do_not_move_the_sum(logits):
    dy = np.random.default_rng(0).standard_normal(len(logits))
    assert softmax_backward(dy, logits).sum() == pytest.approx(0, abs=1e-12)
    assert log_softmax_backward(dy, logits).sum() == pytest.approx(0, abs=1e-12)


def test_softmax_of_infinite_and_of_large_numbers():
    assert softmax([0.0, -np.inf]).tolist() == [1.0, 0.0]
    assert log_softmax(np.float32([3e38, 0]))[0] == 0
    assert softmax([[1e308, 1e308]]).tolist() == [[0.5, 0.5]]


def test_softmax_along_any_axis():
    x = np.random.default_rng(0).standard_normal((3, 4, 5))
    np.testing.assert_allclose(softmax(x, axis=1), np.moveaxis(softmax(np.moveaxis(x, 1, -1)), -1, 1))
