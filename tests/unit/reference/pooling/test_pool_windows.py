from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.arrays import ShapeError
from convscope.reference.pooling.pool_windows import pooled_size, windows


def begins(size: int, kernel: int, stride: int, padding: int, *, ceil_mode: bool) -> list[int]:
    """Where windows begin in the padded image: one after the other, tried one by one."""
    end, over = (
        size + 2 * padding,
        stride - 1 if ceil_mode else 0,
    )  # ceil mode: over the end by less than a step
    fitting = [begin for begin in range(0, end + 1, stride) if begin + kernel <= end + over]
    return [begin for begin in fitting if begin < size + padding or not ceil_mode]


@given(
    size=st.integers(1, 30),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 6),
    fraction=st.floats(0, 0.5),
    ceil_mode=st.booleans(),
)
def test_the_formula_counts_windows(size, kernel, stride, fraction, ceil_mode):
    padding = int(fraction * kernel)
    expected = len(begins(size, kernel, stride, padding, ceil_mode=ceil_mode))
    if expected:
        assert pooled_size(size, kernel, stride=stride, padding=padding, ceil_mode=ceil_mode) == expected
    else:
        with pytest.raises(ShapeError, match="floor"):
            pooled_size(size, kernel, stride=stride, padding=padding, ceil_mode=ceil_mode)


def test_the_views_are_the_windows():
    x = np.arange(63.0).reshape(1, 1, 7, 9)
    where = windows(x, (2, 3), stride=(2, 1), padding=(1, 0), dilation=(2, 1), ceil_mode=True)
    padded = where.pad(x, -1.0)
    views = [padded[place][0, 0] for place in where.pixels()]
    assert len(views) == 6
    assert {view.shape for view in views} == {where.positions}
    first = [view[0, 0] for view in views]
    assert first == [-1, -1, -1, 9, 10, 11], "row −1 is padding, row 1 begins with 9"
    np.testing.assert_array_equal(where.crop(padded), x)
