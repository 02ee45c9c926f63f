from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from convscope.reference.arrays import ShapeError
from convscope.reference.convolution import im2col
from convscope.reference.convolution.sliding_window import conv2d_naive
from convscope.reference.convolution.winograd import A_T, B_T, G, conv2d_winograd

WHOLE = st.integers(-9, 9).map(float)


@given(d=hnp.arrays(float, 4, elements=WHOLE), g=hnp.arrays(float, 3, elements=WHOLE))
def test_four_products_make_two_results(d, g):
    expected = [d[:3] @ g, d[1:] @ g]
    assert (A_T @ ((G @ g) * (B_T @ d))).tolist() == expected


@pytest.mark.slow
@given(
    height=st.integers(3, 9),
    width=st.integers(3, 9),
    images=st.integers(0, 3),
    groups=st.sampled_from([1, 2]),
)
def test_it_is_what_the_loops_give(height, width, images, groups):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((images, 4, height, width)), rng.standard_normal((6, 4 // groups, 3, 3))
    y = conv2d_winograd(x, w, groups=groups)
    np.testing.assert_allclose(y, conv2d_naive(x, w, groups=groups), rtol=0, atol=1e-13)
    assert y.flags.c_contiguous


@pytest.mark.parametrize("cache", [1, 20_000, 1 << 30])
def test_the_size_of_the_blocks_changes_nothing(monkeypatch, cache):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((3, 2, 12, 11)), rng.standard_normal((2, 2, 3, 3))
    expected = conv2d_winograd(x, w)
    monkeypatch.setattr(im2col, "CACHE", cache)
    np.testing.assert_allclose(conv2d_winograd(x, w), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("kernel", "options"),
    [((5, 5), {}), ((3, 1), {}), ((3, 3), {"stride": (1, 2)}), ((3, 3), {"dilation": (2, 2)})],
)
def test_it_says_when_it_applies(kernel, options):
    with pytest.raises(
        ShapeError, match=r'kernel 3×3, stride 1, dilation 1; given: kernel .*; method "im2col" takes any'
    ):
        conv2d_winograd(np.zeros((1, 1, 9, 9)), np.zeros((1, 1, *kernel)), **options)
