from __future__ import annotations

import numpy as np
import pytest

from convscope.reference.bias import add_bias, floats_with_bias
from convscope.reference.shapes import ShapeError


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


def test_the_bias_has_a_say_in_the_type():
    x, w, b = floats_with_bias(np.float32([1]), np.float32([1]), np.float64([1]))
    assert x.dtype == w.dtype == b.dtype == np.float64
    x, w, b = floats_with_bias(np.float32([1]), np.float32([1]), None)
    assert x.dtype == w.dtype == np.float32
    assert b is None
