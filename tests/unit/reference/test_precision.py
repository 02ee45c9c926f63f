from __future__ import annotations

import numpy as np
import pytest

from convscope.reference.precision import as_floats


@pytest.mark.parametrize("given", [np.float32, np.float64])
def test_both_floating_types_stay(given):
    array = np.ones(3, given)
    (kept,) = as_floats(array)
    assert kept is array


@pytest.mark.parametrize("given", [np.uint8, np.int8, np.int64, np.uint32, bool])
def test_whole_numbers_become_float64(given):
    (floats,) = as_floats(np.array([0, 1], given))
    assert floats.dtype == np.float64
    assert floats.tolist() == [0.0, 1.0]


def test_lists_are_arrays():
    (floats,) = as_floats([[1, 2]])
    assert floats.tolist() == [[1.0, 2.0]]


@pytest.mark.parametrize("other", [np.float64(1), np.int32(1), 1, 1.0])
def test_the_wider_type_wins(other):
    assert [array.dtype for array in as_floats(np.float32(1), other)] == [np.float64, np.float64]


@pytest.mark.parametrize("given", [np.float16, np.complex64, object, "U1"])
def test_other_numbers_are_refused(given):
    with pytest.raises(TypeError, match="float32 and float64"):
        as_floats(np.zeros(1, given))
