from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from convscope.reference.arrays import (
    ShapeError,
    as_floats,
    check_filters,
    check_groups,
    check_maps,
    check_same,
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_both_floating_types_stay(dtype):
    array = np.ones(3, dtype)
    (kept,) = as_floats(array)
    assert kept is array


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.uint32, bool])
def test_whole_numbers_become_float64(dtype):
    (floats,) = as_floats(np.array([0, 1], dtype))
    assert floats.dtype == np.float64
    assert floats.tolist() == [0.0, 1.0]


def test_lists_are_arrays():
    (floats,) = as_floats([[1, 2]])
    assert floats.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("other", [np.float64(1), np.int32(1), 1, 1.0])
def test_the_wider_type_wins(other):
    assert [array.dtype for array in as_floats(np.float32(1), other)] == [np.float64, np.float64]


@pytest.mark.parametrize("dtype", [np.float16, np.complex64, object, "U1"])
def test_other_numbers_are_refused(dtype):
    with pytest.raises(TypeError, match="float32 and float64"):
        as_floats(np.zeros(1, dtype))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 0, 8, 8), (1, 3, 0, 8), (1, 3, 8, 0), (1, 1, 1, 1, 1)])
def test_maps_have_four_axes(shape):
    with pytest.raises(ShapeError, match="image is N×C×H×W"):
        check_maps(np.zeros(shape), name="image")
    check_maps(np.zeros((0, 1, 1, 1)))


@given(
    channels=st.integers(1, 12),
    groups=st.integers(-1, 13),
    filters=st.integers(1, 12),
    each=st.integers(1, 12),
)
def test_filters_fit_or_are_refused(channels, groups, filters, each):
    fits = groups >= 1 and filters % groups == 0 and channels == each * groups
    if fits:
        check_filters((1, channels, 8, 8), (filters, each, 3, 3), groups=groups)
    else:
        with pytest.raises(ShapeError, match=r"C_out % groups = 0|C_in = w.shape\[1\]\*groups"):
            check_filters((1, channels, 8, 8), (filters, each, 3, 3), groups=groups)


@pytest.mark.parametrize("shape", [(3, 3), (0, 3, 3, 3), (4, 3, 0, 3)])
def test_filters_have_four_axes(shape):
    with pytest.raises(ShapeError, match="w is C_out"):
        check_filters((1, 3, 8, 8), shape)


@given(groups=st.integers(2, 9), channels=st.integers(1, 40))
def test_groups_divide_the_channels(groups, channels):
    assume(channels % groups)
    with pytest.raises(ShapeError, match=f"divides C_in = {channels}, C_in % groups = 0; given: {groups}"):
        check_groups(groups, channels, name="C_in")
    with pytest.raises(ShapeError, match=r"given: 1.0"):
        check_groups(1.0, channels, name="C_in")


def test_equal_shapes_pass():
    check_same((2, 3), (2, 3), name="dy", why="as y")
    with pytest.raises(ShapeError, match=r"dy has shape \(2, 3\) and needs \(3, 2\): as y"):
        check_same((2, 3), (3, 2), name="dy", why="as y")
