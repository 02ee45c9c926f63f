from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.data.pytorch.augmentation.per_image import (
    coin,
    integers,
    put,
    put_rows,
    take,
    to_nchw,
    to_nhwc,
    uniform,
)


def test_channels_last_images_are_not_copied():
    p = torch.zeros(2, 4, 5, 3, dtype=torch.uint8)
    x = to_nchw(p)
    assert to_nhwc(x).data_ptr() == p.data_ptr()
    assert x.is_contiguous(memory_format=torch.channels_last)


@given(h=st.integers(1, 6), w=st.integers(1, 6), c=st.sampled_from([1, 3]), index=st.permutations(range(5)))
@settings(max_examples=50, deadline=None)
def test_what_is_put_where_it_was_taken_changes_nothing(h, w, c, index):
    x = to_nchw(torch.randint(0, 256, (5, h, w, c), dtype=torch.uint8))
    chosen = torch.tensor(index[:3])
    part = take(x, chosen)
    assert torch.equal(part, x[chosen])
    out = x.clone(memory_format=torch.channels_last)
    put(out, chosen, part)
    assert torch.equal(out, x)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16, torch.bool])
@pytest.mark.parametrize("length", [1, 3, 8, 24])
@pytest.mark.parametrize("offset", [0, 1])
def test_rows_of_any_type_length_and_offset_are_written(dtype, length, offset):
    rows = torch.zeros(4 + offset, length, dtype=dtype)[offset:]
    values = torch.ones(2, length, dtype=dtype)
    put_rows(rows, torch.tensor([3, 1]), values)
    assert rows.sum(1).tolist() == [0, length, 0, length]


def test_nothing_to_write_is_fine():
    rows = torch.zeros(2, 8, dtype=torch.uint8)
    put_rows(rows, torch.zeros(0, dtype=torch.int64), torch.zeros(0, 8, dtype=torch.uint8))
    assert not rows.any()


X = torch.zeros(4000, 1, 1, 1)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_uniform_fills_its_interval_evenly():
    values = uniform(X, rng(), (-2.0, 3.0))
    assert -2 <= float(values.min()) < -1.99
    assert 2.99 < float(values.max()) <= 3
    counts = torch.histc(values, bins=10, min=-2, max=3)
    assert (counts - 400).abs().max() < 100, "five standard deviations"


def test_integers_are_as_likely_each():
    values = integers(X, rng(), 5)
    assert values.dtype == torch.int64
    assert (values.bincount(minlength=5) - 800).abs().max() < 130, "five standard deviations"


def test_a_coin_falls_as_often_as_it_should():
    assert abs(float(coin(X, rng(), 0.2).float().mean()) - 0.2) < 0.032, "five standard deviations"
    assert not coin(X, rng(), 0.0).any()
    assert coin(X, rng(), 1.0).all()


def test_the_first_images_of_a_larger_batch_get_the_same():
    assert torch.equal(uniform(X, rng(), (0, 1))[:10], uniform(X[:10], rng(), (0, 1)))
