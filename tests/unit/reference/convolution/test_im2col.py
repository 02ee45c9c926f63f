from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.convolution import im2col
from convscope.reference.convolution.im2col import (
    CACHE,
    column_blocks,
    conv2d_im2col,
    filter_matrix,
    input_gradient,
    result_matrix,
    row_blocks,
    weight_gradient,
)
from convscope.reference.convolution.sliding_window import conv2d_naive, windows


@given(images=st.integers(0, 9), rows=st.integers(1, 70), fraction=st.floats(0.01, 1.5))
def test_blocks_cover_each_row_of_each_image_once(images, rows, fraction):
    seen = np.zeros((images, rows), int)
    for n, part in row_blocks(images, rows, int(CACHE * fraction)):
        assert 0 <= n.start < n.stop <= images
        assert 0 <= part.start < part.stop <= rows
        seen[n, part] += 1
    assert (seen == 1).all()


@given(images=st.integers(1, 9), rows=st.integers(1, 70), fraction=st.floats(0.01, 1.0))
def test_blocks_fit_the_cache_and_the_first_is_the_largest(images, rows, fraction):
    bytes_a_row = int(CACHE * fraction)
    sizes = [
        (n.stop - n.start) * (part.stop - part.start) * bytes_a_row
        for n, part in row_blocks(images, rows, bytes_a_row)
    ]
    assert max(sizes) == sizes[0] <= CACHE


def test_a_row_that_fits_nowhere_is_a_block_by_itself():
    assert list(row_blocks(1, 2, 10 * CACHE)) == [(slice(0, 1), slice(0, 1)), (slice(0, 1), slice(1, 2))]


def test_columns_are_windows():
    x = np.arange(2 * 4 * 5 * 6.0).reshape(2, 4, 5, 6)
    view = windows(x, (3, 2), stride=(1, 2))
    ((images, rows, cols),) = column_blocks(view, 2)
    assert (images, rows, cols.shape) == (slice(0, 2), slice(0, 3), (2, 2 * 3 * 2, 2 * 3 * 3))
    np.testing.assert_array_equal(cols[1, :, 1 * 9 + 2 * 3 + 1], x[1, 2:, 2:5, 2:4].ravel())


def test_all_blocks_lie_in_the_same_memory(monkeypatch):
    monkeypatch.setattr(im2col, "CACHE", 300)
    view = windows(np.arange(3 * 2 * 7 * 7.0).reshape(3, 2, 7, 7), (2, 2))
    blocks = [cols for _, _, cols in column_blocks(view, 1)]
    assert len(blocks) == 3 * 6
    assert all(np.shares_memory(block, blocks[0]) for block in blocks)


@pytest.mark.parametrize("cache", [1, 500, 3000, 1 << 30])
@pytest.mark.parametrize("options", [{}, {"stride": (2, 3), "dilation": (2, 1), "groups": 2}], ids=str)
def test_the_size_of_the_blocks_changes_nothing(monkeypatch, cache, options):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 4, 11, 10)), rng.standard_normal((6, 4 // options.get("groups", 1), 3, 2))
    expected = conv2d_im2col(x, w, **options)
    dy = rng.standard_normal(expected.shape)
    dw, dx = weight_gradient(dy, x, (3, 2), **options), input_gradient(dy, w, (11, 10), **options)
    monkeypatch.setattr(im2col, "CACHE", cache)
    np.testing.assert_allclose(conv2d_im2col(x, w, **options), expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(weight_gradient(dy, x, (3, 2), **options), dw, rtol=0, atol=1e-12)
    np.testing.assert_allclose(input_gradient(dy, w, (11, 10), **options), dx, rtol=0, atol=1e-12)


def test_the_matrix_of_the_filters_has_one_in_each_row():
    w = np.arange(4 * 2 * 1 * 3.0).reshape(4, 2, 1, 3)
    matrix = filter_matrix(w, 2)
    assert matrix.shape == (2, 2, 6)
    assert matrix[1, 0].tolist() == w[2].ravel().tolist()


def test_memory_beside_the_result_stays_within_the_cache():
    """Nine times the image would be 9.4 MB; measured by what NumPy asks for."""
    import tracemalloc

    x, w = np.ones((1, 16, 130, 130), np.float32), np.ones((4, 16, 3, 3), np.float32)
    tracemalloc.start()
    try:
        y = conv2d_im2col(x, w)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - y.nbytes < 1.25 * CACHE


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
