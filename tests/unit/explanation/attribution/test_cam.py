"""The formulas beside loops over places, and what must hold for any maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional as F

from convscope.explanation.attribution import cam

NUMBERS = st.floats(-100, 100, width=32).map(lambda number: round(number, 3))
SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4))
BY_GRADIENTS = [cam.grad_cam, cam.grad_cam_plus_plus, cam.layer_cam]


@st.composite
def maps_and_gradients(draw):
    shape = draw(SHAPES)
    return tuple(draw(arrays(np.float64, shape, elements=NUMBERS)) for _ in range(2))


def by_loops(formula, maps, gradients):
    """The printed formulas, a number at a time."""
    n, c, h, w = maps.shape
    result = np.zeros((n, h, w))
    for i in range(n):
        for k in range(c):
            total = sum(maps[i, k, y, x] for y in range(h) for x in range(w))
            mean = sum(gradients[i, k, y, x] for y in range(h) for x in range(w)) / (h * w)
            plus_plus = 0.0
            for y in range(h):
                for x in range(w):
                    g = gradients[i, k, y, x]
                    alpha = g**2 / (2 * g**2 + g**3 * total + 1e-6) if g else 0.0
                    plus_plus += alpha * max(g, 0.0)
            for y in range(h):
                for x in range(w):
                    weight = {
                        "grad_cam": mean,
                        "grad_cam_plus_plus": plus_plus,
                        "layer_cam": max(gradients[i, k, y, x], 0.0),
                    }[formula.__name__]
                    result[i, y, x] += weight * maps[i, k, y, x]
    return result


@pytest.mark.slow
@pytest.mark.parametrize("formula", BY_GRADIENTS)
@given(data=maps_and_gradients())
def test_each_formula_is_the_printed_one(formula, data):
    maps, gradients = np.abs(data[0]), np.abs(data[1])  # no sum in the denominator comes out as 0 then
    np.testing.assert_allclose(
        formula(maps, gradients), by_loops(formula, maps, gradients), rtol=1e-9, atol=1e-9
    )


def test_negative_numbers_take_part():
    rng = np.random.default_rng(0)
    maps, gradients = rng.normal(size=(2, 2, 5, 4, 3))
    for formula in BY_GRADIENTS:
        found = formula(maps, gradients)
        np.testing.assert_allclose(found, by_loops(formula, maps, gradients), rtol=1e-9)
        assert found.min() < 0 < found.max()


@pytest.mark.slow
@pytest.mark.parametrize("formula", BY_GRADIENTS)
@given(data=maps_and_gradients(), factor=st.floats(0.1, 10))
def test_maps_of_a_batch_do_not_meet_and_channels_have_no_order(formula, data, factor):
    maps, gradients = np.abs(data[0]), data[1]
    whole = formula(maps, gradients)
    for i in range(len(maps)):
        np.testing.assert_allclose(
            formula(maps[i : i + 1], gradients[i : i + 1])[0], whole[i], rtol=1e-9, atol=1e-9
        )
    np.testing.assert_allclose(formula(maps[:, ::-1], gradients[:, ::-1]), whole, rtol=1e-6, atol=1e-6)
    if formula is not cam.grad_cam_plus_plus:  # whose weights hold powers of the gradient
        np.testing.assert_allclose(formula(maps, factor * gradients), factor * whole, rtol=1e-6, atol=1e-6)


@given(data=maps_and_gradients())
def test_even_gradients_make_layer_cam_and_grad_cam_one(data):
    maps, gradients = data[0], np.abs(data[1]).mean(axis=(2, 3), keepdims=True)
    even = np.broadcast_to(gradients, maps.shape)
    np.testing.assert_allclose(cam.layer_cam(maps, even), cam.grad_cam(maps, even), rtol=1e-6, atol=1e-6)


@given(maps=arrays(np.float64, SHAPES, elements=NUMBERS))
def test_eigen_cam_keeps_as_much_of_the_maps_as_one_direction_can(maps):
    n, c = maps.shape[:2]
    places = maps.reshape(n, c, -1).transpose(0, 2, 1)
    centred = places - places.mean(axis=1, keepdims=True)
    found = cam.eigen_cam(maps).reshape(n, -1)
    largest = np.array([np.linalg.eigvalsh(one @ one.T)[-1] for one in centred])
    np.testing.assert_allclose(
        (found**2).sum(axis=1), largest, rtol=1e-6, atol=1e-6 * max(1.0, np.abs(maps).max()) ** 2
    )
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-6 * max(1.0, np.abs(maps).max()))
    assert ((found * centred.mean(axis=2)).sum(axis=1) >= -1e-6).all()


def test_eigen_cam_of_maps_that_are_the_same_everywhere_is_nothing():
    maps = np.random.default_rng(0).normal(size=(3, 6, 1, 1)).astype(np.float32).repeat(4, 2).repeat(4, 3)
    maps[1] *= 1 + 1e-7 * np.random.default_rng(1).normal(size=maps[1].shape)  # as rounding does
    maps[2, 0, 0, 0] += 1
    found = cam.eigen_cam(maps)
    assert not found[:2].any() and found[2].argmax() == 0 and found.dtype == np.float32


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_eigen_cam_of_what_is_no_number_is_none(value):
    maps = np.random.default_rng(0).normal(size=(2, 3, 2, 2))
    expected = cam.eigen_cam(maps)
    maps[1, 0, 0, 0] = value
    found = cam.eigen_cam(maps)
    assert np.isnan(found[1]).all() and np.array_equal(found[0], expected[0])


@pytest.mark.parametrize("formula", BY_GRADIENTS)
def test_no_images_give_no_maps(formula):
    nothing = np.zeros((0, 3, 2, 2), np.float32)
    assert formula(nothing, nothing).shape == cam.eigen_cam(nothing).shape == (0, 2, 2)
    one = np.ones((1, 3, 2, 2), np.float32)
    assert formula(one, one).dtype == np.float32


def test_enlarging_keeps_each_place_where_it_was():
    small = np.zeros((1, 4, 4))
    small[0, 1, 2] = 1
    large = cam.enlarged(small, (16, 16))
    y, x = np.mgrid[:16, :16]
    centre = (large[0] * y).sum() / large.sum(), (large[0] * x).sum() / large.sum()
    assert centre == pytest.approx((1.5 * 4 - 0.5, 2.5 * 4 - 0.5)) and large.max() <= 1
    assert np.array_equal(cam.enlarged(small, (4, 4)), small)
    assert np.allclose(cam.enlarged(np.ones((2, 3, 5)), (7, 9)), 1)


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize(
    ("small", "large"), [((7, 7), (28, 20)), ((1, 3), (12, 9)), ((14, 14), (224, 224)), ((9, 8), (5, 8))]
)
@pytest.mark.parametrize(("dtype", "bound"), [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_enlarging_is_that_of_torch(small, large, corners, dtype, bound):
    maps = np.random.default_rng(0).normal(size=(3, *small))
    expected = F.interpolate(torch.from_numpy(maps)[:, None], large, mode="bilinear", align_corners=corners)
    found = cam.enlarged(maps.astype(dtype), large, corners=corners)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected[:, 0].numpy(), atol=bound * np.abs(maps).max())
