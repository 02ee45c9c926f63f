from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.shapes import border, crop_images, output_shape, output_size, pad_images, pair

SMALL = st.integers(1, 5)


def test_a_number_stands_for_both_sides():
    assert pair(3) == (3, 3)
    assert pair([1, np.int64(2)]) == (1, 2)
    assert all(type(number) is int for number in pair((np.int64(1), np.int32(2))))


@pytest.mark.parametrize("value", [-1, 1.5, "2", (1, 2, 3), (1,), (1, 2.0), (1, -1), None, np.array([1, 2])])
def test_anything_else_is_refused_with_the_value(value):
    with pytest.raises(ShapeError, match="stride is an integer or two, each at least 0; given: "):
        pair(value, name="stride")


def test_the_least_number_is_allowed():
    assert pair(1, at_least=1) == (1, 1)
    with pytest.raises(ShapeError, match="at least 1; given: 0"):
        pair(0, at_least=1)


@given(size=st.integers(1, 30), kernel=SMALL, stride=SMALL, padding=st.integers(0, 4), dilation=SMALL)
def test_the_formula_counts_the_windows_that_fit(size, kernel, stride, padding, dilation):
    reach = dilation * (kernel - 1) + 1
    fitting = len(
        [start for start in range(0, size + 2 * padding, stride) if start + reach <= size + 2 * padding]
    )
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    if fitting:
        assert output_size(size, kernel, **options) == fitting
    else:
        with pytest.raises(ShapeError):
            output_size(size, kernel, **options)


def test_a_window_too_large_raises_with_the_formula_and_its_numbers():
    with pytest.raises(ShapeError) as caught:
        output_size(5, 4, stride=3, padding=1, dilation=3)
    assert "reaches over 10 pixels, and with padding 1 there are 7" in str(caught.value)
    assert "floor((H + 2p - d(k-1) - 1)/s) + 1 = floor((5 + 2*1 - 3*3 - 1)/3) + 1 = 0" in str(caught.value)


@given(size=st.tuples(SMALL, SMALL), kernel=st.tuples(SMALL, SMALL), dilation=st.tuples(SMALL, SMALL))
def test_same_keeps_the_size(size, kernel, dilation):
    (above, below), (left, right) = border("same", kernel, dilation=dilation)
    assert output_shape(size, kernel, padding="same", dilation=dilation) == size
    assert size[0] + above + below - dilation[0] * (kernel[0] - 1) == size[0]
    assert size[1] + left + right - dilation[1] * (kernel[1] - 1) == size[1]
    assert below - above in {0, 1}
    assert right - left in {0, 1}


def test_same_needs_stride_1():
    with pytest.raises(ShapeError, match=r'"same" needs stride 1, given \(1, 2\).*floor'):
        border("same", 3, stride=(1, 2))


def test_valid_and_numbers():
    assert border("valid", 7, stride=3) == ((0, 0), (0, 0))
    assert border((2, 1), 3) == ((2, 2), (1, 1))
    with pytest.raises(ShapeError, match='"same" or "valid"; given: \'full\''):
        border("full", 3)


@pytest.mark.parametrize("name", ["stride", "dilation"])
def test_stride_and_dilation_are_at_least_1(name):
    with pytest.raises(ShapeError, match=f"{name} is an integer or two, each at least 1; given: 0"):
        output_shape((5, 5), 3, **{name: 0})


@given(
    sides=st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2),
    value=st.sampled_from([0.0, -np.inf]),
)
def test_padding_is_undone_by_cropping(sides, value):
    x = np.arange(12, dtype=np.float32).reshape(1, 2, 2, 3)
    padded = pad_images(x, sides, value=value)
    expected = np.pad(x, ((0, 0), (0, 0), *sides), constant_values=value)
    np.testing.assert_array_equal(padded, expected)
    assert padded.dtype == np.float32
    np.testing.assert_array_equal(crop_images(padded, sides), x)
