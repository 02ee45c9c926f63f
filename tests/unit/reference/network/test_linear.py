from __future__ import annotations

import numpy as np
import pytest

from convscope.reference.arrays import ShapeError
from convscope.reference.network.linear import flatten, flatten_backward, linear, linear_backward


def test_the_definition_in_loops():
    x, w, b = (np.random.default_rng(i).standard_normal(s) for i, s in enumerate([(3, 4), (2, 4), (2,)]))
    y = linear(x, w, b)
    for n, k in np.ndindex(3, 2):
        assert y[n, k] == pytest.approx(sum(x[n, d] * w[k, d] for d in range(4)) + b[k])
    np.testing.assert_allclose(linear(x, w), y - b)


def test_flatten_keeps_the_order_and_backward_restores_it():
    x = np.arange(24.0).reshape(2, 3, 2, 2)
    assert flatten(x)[1].tolist() == list(range(12, 24))
    np.testing.assert_array_equal(flatten_backward(flatten(x), x), x)
    assert flatten(np.zeros((0, 3, 2, 2))).shape == (0, 12)
    assert flatten(np.zeros((5, 3))).shape == (5, 3)


def test_a_dense_layer_is_a_convolution_as_large_as_the_map():
    from convscope.reference.convolution.conv2d import conv2d

    x, w = (
        np.random.default_rng(0).standard_normal((2, 3, 4, 4)),
        np.random.default_rng(1).standard_normal((5, 3, 4, 4)),
    )
    np.testing.assert_allclose(linear(flatten(x), w.reshape(5, -1)), conv2d(x, w)[:, :, 0, 0], atol=1e-13)


def test_precision_and_integers():
    assert linear(np.ones((1, 2), np.float32), np.ones((1, 2), np.float32)).dtype == np.float32
    assert linear([[1, 2]], [[3, 4]], [0.5]).tolist() == [[11.5]]
    assert linear(np.zeros((0, 2)), np.ones((3, 2))).shape == (0, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear(np.ones((2, 3)), np.ones((4, 5))), r"same D; given: x \(2, 3\), w \(4, 5\)"),
        (lambda: linear(np.ones((2, 3, 1, 1)), np.ones((4, 3))), r"x as N×D"),
        (
            lambda: linear(np.ones((2, 3)), np.ones((4, 3)), np.ones(3)),
            r"b has shape \(3,\) and needs \(4,\)",
        ),
        (lambda: linear_backward(np.ones((2, 3)), np.ones((2, 3)), np.ones((4, 3))), r"dy .* needs \(2, 4\)"),
        (lambda: flatten(np.ones(3)), r"flatten keeps the first axis.*\(3,\)"),
        (lambda: flatten_backward(np.ones((2, 5)), np.ones((2, 2, 2))), r"dy .* needs \(2, 4\)"),
    ],
)
def test_sizes_that_do_not_fit(call, message):
    with pytest.raises(ShapeError, match=message):
        call()
