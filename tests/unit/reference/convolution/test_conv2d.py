from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.convolution.conv2d import (
    METHODS,
    add_bias,
    conv2d,
    conv2d_backward,
    floats_with_bias,
)

ALL = pytest.mark.parametrize("method", list(METHODS))
X = np.random.default_rng(0).standard_normal((2, 4, 6, 7))
W = np.random.default_rng(1).standard_normal((3, 4, 3, 3))
B = np.array([1.0, 2.0, 3.0])


@ALL
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_whole_numbers_are_not_cut_off(method, dtype):
    x, w = (X > 0).astype(dtype), 0.25 * np.ones((1, 4, 3, 3))
    y = conv2d(x, w, padding=1, method=method)
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, conv2d((X > 0).astype(float), w, padding=1), rtol=0, atol=1e-14)
    assert (y % 1).max() > 0.2


@ALL
def test_whole_numbers_on_both_sides_do_not_run_over(method):
    y = conv2d(np.full((1, 1, 3, 3), 200, np.uint8), np.full((1, 1, 3, 3), 100, np.uint8), method=method)
    np.testing.assert_allclose(y, [[[[9 * 200 * 100]]]], rtol=1e-12)


@ALL
@pytest.mark.parametrize(
    ("types", "expected"),
    [
        ((np.float32, np.float32, np.float32), np.float32),
        ((np.float32, np.float32, None), np.float32),
        ((np.float32, np.float32, np.float64), np.float64),
        ((np.float64, np.float32, np.float32), np.float64),
        ((np.float32, np.int32, None), np.float64),
    ],
)
def test_the_type_of_the_result(method, types, expected):
    arrays = [None if dtype is None else a.astype(dtype) for a, dtype in zip((X, W, B), types, strict=True)]
    assert conv2d(*arrays, padding=1, method=method).dtype == expected


def test_gradients_have_the_type_of_the_arrays():
    dy = np.ones((2, 3, 4, 5), np.float32)
    assert {g.dtype for g in conv2d_backward(dy, X.astype(np.float32), W.astype(np.float32))} == {
        np.dtype(np.float32)
    }
    assert {g.dtype for g in conv2d_backward(dy.astype(int), X, W)} == {np.dtype(np.float64)}


def transposed_in_memory(a: np.ndarray) -> np.ndarray:
    return np.asfortranarray(a)


def every_second(a: np.ndarray) -> np.ndarray:
    wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), np.nan)
    wide[..., ::2] = a
    return wide[..., ::2]


def mirrored(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a[:, :, ::-1, ::-1])[:, :, ::-1, ::-1]


@ALL
@pytest.mark.parametrize("laid", [transposed_in_memory, every_second, mirrored])
def test_how_the_arrays_lie_in_memory_does_not_matter(method, laid):
    x, w = laid(X), laid(W)
    assert not x.flags.c_contiguous
    np.testing.assert_allclose(conv2d(x, w, method=method), conv2d(X, W, method=method), rtol=0, atol=1e-13)
    dy = np.random.default_rng(2).standard_normal((2, 3, 4, 5))
    for ours, expected in zip(conv2d_backward(laid(dy), x, w), conv2d_backward(dy, X, W), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-13)


def test_a_gradient_that_is_one_number_everywhere():
    """What the mean of a map hands back: a view of one number, with steps of 0."""
    dy = np.broadcast_to(np.float64(0.5), (2, 3, 4, 5))
    for ours, expected in zip(conv2d_backward(dy, X, W), conv2d_backward(dy.copy(), X, W), strict=True):
        np.testing.assert_array_equal(ours, expected)


@ALL
def test_no_images_give_no_maps(method):
    assert conv2d(X[:0], W, B, padding=1, method=method).shape == (0, 3, 6, 7)


def test_no_images_give_filters_no_gradient():
    dx, dw, db = conv2d_backward(np.zeros((0, 3, 4, 5)), X[:0], W)
    assert dx.shape == (0, 4, 6, 7)
    assert not dw.any()
    assert dw.shape == W.shape
    assert db.tolist() == [0, 0, 0]


@ALL
def test_the_image_is_left_alone_and_the_result_is_new(method):
    x, w = X.copy(), np.ones((4, 1, 1, 1)) if method != "winograd" else np.ones((4, 1, 3, 3))
    y = conv2d(x, w, np.ones(4), groups=4, method=method)
    np.testing.assert_array_equal(x, X)
    y[...] = 0
    np.testing.assert_array_equal(x, X)


@given(down=st.integers(0, 2), right=st.integers(0, 2))
def test_a_shifted_image_gives_a_shifted_result(down, right):
    image = np.zeros((1, 4, 12, 12))
    image[:, :, 4:7, 4:7] = X[:1, :, :3, :3]
    moved = np.roll(image, (down, right), (2, 3))
    np.testing.assert_allclose(
        conv2d(moved, W), np.roll(conv2d(image, W), (down, right), (2, 3)), rtol=0, atol=1e-13
    )


def test_same_adds_the_odd_pixel_behind():
    y = conv2d([[[[1, 2, 3]]]], [[[[1, 10]]]], padding="same")
    assert y.tolist() == [[[[21, 32, 3]]]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[0]}, r"x is N×C×H×W.*given: \(4, 6, 7\)"),
        ({"w": W[0]}, r"w is C_out×\(C_in/groups\)×kH×kW.*given: \(4, 3, 3\)"),
        ({"w": W[:, :3]}, r"x has 4 channels .* groups 1 take 3: C_in = w.shape\[1\]\*groups"),
        ({"groups": 2}, r"groups is at least 1 and divides C_out = 3"),
        ({"groups": 0}, r"groups is at least 1"),
        ({"b": B[:2]}, r"b has shape \(2,\) and needs \(3,\): one number a map, C_out"),
        (
            {"w": np.ones((3, 4, 7, 3))},
            r"reaches over 7 pixels.* there are 6: floor\(\(H \+ 2p - d\(k-1\) - 1\)/s\) \+ 1",
        ),
        ({"dilation": 3}, r"reaches over 7 pixels, and with padding 0 there are 6"),
        ({"stride": 0}, r"stride is an integer or two, each at least 1; given: 0"),
        ({"padding": -1}, r"padding is an integer or two, each at least 0; given: -1"),
        ({"padding": "same", "stride": 2}, r'"same" needs stride 1'),
        ({"padding": "full"}, r"given: 'full'"),
    ],
)
@ALL
def test_sizes_that_do_not_fit_raise_with_the_formula(method, change, message):
    arguments = {"x": X, "w": W, "b": B, **change}
    options = {name: arguments.pop(name) for name in list(arguments) if name not in {"x", "w", "b"}}
    with pytest.raises(ShapeError, match=message):
        conv2d(*arguments.values(), method=method, **options)
    if "b" not in change:
        with pytest.raises(ShapeError, match=message):
            conv2d_backward(np.zeros((2, 3, 4, 5)), arguments["x"], arguments["w"], **options)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (1, 3, 4, 5), (2, 2, 4, 5), (3, 4, 5)])
def test_a_gradient_has_the_shape_of_the_result(shape):
    with pytest.raises(
        ShapeError, match=r"dy has shape .* and needs \(2, 3, 4, 5\): N×C_out×H′×W′, H′ = floor"
    ):
        conv2d_backward(np.zeros(shape), X, W)


def test_an_unknown_method_raises_with_the_known_ones():
    with pytest.raises(ValueError, match="there is no method 'magic'; allowed: naive, im2col, fft, winograd"):
        conv2d(X, W, method="magic")


@ALL
def test_nan_stays_in_its_windows(method):
    """Everywhere for a transform, which mixes all pixels; in its windows for the others."""
    x = X.copy()
    x[0, 0, 0, 0] = np.nan
    bad = np.isnan(conv2d(x, W, method=method))
    assert not bad[1].any()
    assert bad[0, :, 0, 0].all()
    assert bad[0].sum() <= {"naive": 3, "im2col": 3, "winograd": 3 * 4, "fft": bad[0].size}[method]


def test_each_map_gets_its_own_number():
    y = np.zeros((2, 3, 1, 2))
    assert add_bias(y, np.array([1.0, 2.0, 3.0]))[:, :, 0, 1].tolist() == [[1, 2, 3], [1, 2, 3]]


def test_without_one_nothing_changes():
    y = np.ones((1, 1, 1, 1))
    assert add_bias(y, None) is y
    assert y.tolist() == [[[[1.0]]]]


@pytest.mark.parametrize("shape", [(2,), (1,), (), (3, 1), (1, 3, 1, 1)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ShapeError, match=r"b has shape .* and needs \(3,\): one number a map, C_out"):
        add_bias(np.zeros((1, 3, 2, 2)), np.zeros(shape))


def test_the_bias_counts_for_the_type():
    x, w, b = floats_with_bias(np.float32([1]), np.float32([1]), np.float64([1]))
    assert x.dtype == w.dtype == b.dtype == np.float64
    x, w, b = floats_with_bias(np.float32([1]), np.float32([1]), None)
    assert x.dtype == w.dtype == np.float32
    assert b is None
