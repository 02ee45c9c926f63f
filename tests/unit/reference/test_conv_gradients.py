"""The result is linear in x and in w, so that Σ dy·y = Σ dx·x = Σ dw·w: a test that needs no second
program."""

from __future__ import annotations

import numpy as np
import pytest

from convscope.reference.conv_gradients import input_gradient, result_matrix, weight_gradient
from convscope.reference.conv_naive import conv2d_naive

OPTIONS = [
    {},
    {"stride": (2, 3)},
    {"dilation": (1, 2)},
    {"groups": 2},
    {"stride": (3, 1), "dilation": (2, 2), "groups": 2},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_are_adjoint_to_the_loops(options):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 4, 9, 8)), rng.standard_normal((4, 4 // options.get("groups", 1), 3, 2))
    y = conv2d_naive(x, w, **options)
    dy = rng.standard_normal(y.shape)
    dx, dw = input_gradient(dy, w, (9, 8), **options), weight_gradient(dy, x, (3, 2), **options)
    assert dx.shape == x.shape
    assert dw.shape == w.shape
    assert (dx * x).sum() == pytest.approx((dy * y).sum(), rel=1e-12)
    assert (dw * w).sum() == pytest.approx((dy * y).sum(), rel=1e-12)


def test_a_pixel_that_no_window_sees_has_no_gradient():
    dx = input_gradient(np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 2)), (2, 6), stride=(1, 3))
    assert dx[0, 0].tolist() == [[1, 1, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]]


def test_the_gradient_is_that_of_one_image_where_there_is_one():
    """A filter's gradient is the sum over images."""
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((3, 2, 5, 5)), rng.standard_normal((3, 2, 4, 4))
    alone = sum(weight_gradient(dy[n : n + 1], x[n : n + 1], (2, 2)) for n in range(3))
    np.testing.assert_allclose(weight_gradient(dy, x, (2, 2)), alone, rtol=0, atol=1e-12)


def test_results_become_rows_group_by_group():
    dy = np.arange(2 * 4 * 1 * 3.0).reshape(2, 4, 1, 3)
    matrix = result_matrix(dy, 2)
    assert matrix.shape == (2, 2, 6)
    assert matrix[1, 0].tolist() == [*dy[0, 2].ravel(), *dy[1, 2].ravel()]
