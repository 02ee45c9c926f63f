from __future__ import annotations

import numpy as np
import pytest

from convscope.reference.arrays import ShapeError
from convscope.reference.convolution.conv2d import conv2d, conv2d_backward
from convscope.reference.convolution.depthwise import depthwise_conv2d, depthwise_conv2d_backward

X = np.random.default_rng(0).standard_normal((2, 3, 6, 7))
W = np.random.default_rng(1).standard_normal((6, 1, 3, 2))
OPTIONS = [
    {},
    {"stride": (2, 1), "padding": (0, 2)},
    {"padding": "same", "dilation": (1, 3)},
    {"padding": "valid"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_it_is_a_convolution_with_a_group_a_channel(options):
    y = depthwise_conv2d(X, W, np.arange(6.0), **options)
    np.testing.assert_allclose(y, conv2d(X, W, np.arange(6.0), groups=3, **options), rtol=0, atol=1e-13)
    dy = np.random.default_rng(2).standard_normal(y.shape)
    expected = conv2d_backward(dy, X, W, groups=3, **options)
    for ours, theirs in zip(depthwise_conv2d_backward(dy, X, W, **options), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-13)


def test_the_filters_of_a_channel_follow_each_other():
    y = depthwise_conv2d([[[[1]], [[10]]]], np.array([1, 2, 3, 4]).reshape(4, 1, 1, 1))
    assert y.ravel().tolist() == [1, 2, 30, 40]


def test_channels_do_not_mix():
    x = X.copy()
    x[:, 1] = np.nan
    y = depthwise_conv2d(x, W)
    assert np.isnan(y[:, 2:4]).all()
    assert np.isfinite(y[:, [0, 1, 4, 5]]).all()


def test_no_images_give_no_maps():
    assert depthwise_conv2d(X[:0], W).shape == (0, 6, 4, 6)
    dx, dw, db = depthwise_conv2d_backward(np.zeros((0, 6, 4, 6)), X[:0], W)
    assert dx.shape == (0, 3, 6, 7)
    assert (dw.shape, db.shape) == (W.shape, (6,))
    assert not dw.any()


def test_types_are_kept_and_whole_numbers_not_cut_off():
    assert depthwise_conv2d(X.astype(np.float32), W.astype(np.float32)).dtype == np.float32
    assert depthwise_conv2d(np.ones((1, 1, 1, 1), np.uint8), np.full((1, 1, 1, 1), 0.5)).tolist() == [
        [[[0.5]]]
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": X[0]}, "x is N×C×H×W"),
        ({"w": W[:5]}, "divides C_out = 5"),
        ({"w": np.zeros((6, 3, 3, 3))}, "take 9"),
        ({"b": np.zeros(3)}, r"b has shape \(3,\) and needs \(6,\)"),
        ({"dilation": 4}, r"reaches over 9 pixels, .* there are 6: floor"),
        ({"padding": "same", "stride": 2}, '"same" needs stride 1'),
    ],
)
def test_sizes_that_do_not_fit_raise_with_the_formula(change, message):
    arguments = {"x": X, "w": W, "b": np.zeros(6), **change}
    options = {name: arguments.pop(name) for name in list(arguments) if name not in {"x", "w", "b"}}
    with pytest.raises(ShapeError, match=message):
        depthwise_conv2d(*arguments.values(), **options)


def test_a_gradient_has_the_shape_of_the_result():
    with pytest.raises(ShapeError, match=r"dy has shape \(2, 3, 4, 6\) and needs \(2, 6, 4, 6\)"):
        depthwise_conv2d_backward(np.zeros((2, 3, 4, 6)), X, W)
