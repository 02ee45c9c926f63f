from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.windows import under_tap, windows

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(kernel=PAIRS, stride=PAIRS, dilation=PAIRS)
def test_each_number_is_the_one_of_the_definition(kernel, stride, dilation):
    x = np.arange(2 * 2 * 9 * 8.0).reshape(2, 2, 9, 8)
    view = windows(x, kernel, stride=stride, dilation=dilation)
    for n, c, a, b, i, j in np.ndindex(view.shape):
        assert (
            view[n, c, a, b, i, j]
            == x[n, c, stride[0] * i + dilation[0] * a, stride[1] * j + dilation[1] * b]
        )


@given(kernel=PAIRS, stride=PAIRS, dilation=PAIRS)
def test_a_tap_sees_its_part_of_all_windows(kernel, stride, dilation):
    x = np.arange(2 * 2 * 9 * 8.0).reshape(2, 2, 9, 8)
    view = windows(x, kernel, stride=stride, dilation=dilation)
    for tap in np.ndindex(*kernel):
        met = under_tap(x, tap, places=view.shape[4:], stride=stride, dilation=dilation)
        np.testing.assert_array_equal(met, view[:, :, *tap])


def test_windows_share_the_memory_of_the_image_and_cannot_be_written():
    x = np.zeros((1, 1, 4, 4))
    view = windows(x, (3, 3))
    assert np.shares_memory(view, x)
    with pytest.raises(ValueError, match="read-only"):
        view[...] = 1


def test_what_is_added_under_a_tap_is_added_to_the_image():
    x = np.zeros((1, 1, 1, 5))
    met = under_tap(x, (0, 1), places=(1, 2), stride=(1, 2))
    met += 1
    assert x.tolist() == [[[[0, 1, 0, 1, 0]]]]
