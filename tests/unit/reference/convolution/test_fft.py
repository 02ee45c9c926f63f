from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convscope.reference.convolution.fft import conv2d_fft, fast_length
from convscope.reference.convolution.sliding_window import conv2d_naive


@pytest.mark.slow
@given(st.integers(1, 2000))
def test_a_fast_length_is_the_next_with_small_factors(size):
    def small(number: int) -> bool:
        return any(number == 2**a * 3**b * 5**c for a in range(12) for b in range(8) for c in range(6))

    assert fast_length(size) == next(n for n in range(size, 2 * size + 1) if small(n))


@pytest.mark.parametrize("size", [(7, 11), (13, 17), (1, 31)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_kernel_as_large_as_the_image(size, dtype):
    """No window may come round the ring, not even the only one."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 2, *size)).astype(dtype), rng.standard_normal((3, 2, *size)).astype(dtype)
    y = conv2d_fft(x, w)
    assert y.dtype == dtype
    assert y.shape == (1, 3, 1, 1)
    # 2·13·17 products a sum at most.
    bound = 2 * 13 * 17 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        y[0, :, 0, 0], (x * w).sum(axis=(1, 2, 3)), rtol=0, atol=bound * np.abs(x * w).sum()
    )


def test_filters_are_not_mirrored():
    x, w = np.arange(5.0).reshape(1, 1, 1, 5), np.array([[[[1.0, 0.0, 0.0]]]])
    np.testing.assert_allclose(conv2d_fft(x, w), [[[[0, 1, 2]]]], atol=1e-14)


@pytest.mark.parametrize("options", [{"stride": (2, 3)}, {"dilation": (3, 2)}, {"groups": 2}], ids=str)
def test_options_mean_what_they_mean_in_the_loops(options):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 4, 10, 9)), rng.standard_normal((6, 4 // options.get("groups", 1), 3, 3))
    y = conv2d_fft(x, w, **options)
    np.testing.assert_allclose(y, conv2d_naive(x, w, **options), rtol=0, atol=1e-13)
    assert y.flags.c_contiguous
