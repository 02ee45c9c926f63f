from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.data.pytorch.augmentation.enhance import (
    as_bytes,
    brightness,
    contrast,
    mean_grey,
    saturation,
    saturation_matrix,
    sharpness,
)

BLENDS = [brightness, contrast, saturation, sharpness]


def images(n: int, c: int, h: int, w: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, h, w, c), dtype=torch.uint8, generator=rng).permute(0, 3, 1, 2)


@pytest.mark.parametrize("blend", BLENDS)
@given(c=st.sampled_from([1, 3]), h=st.integers(1, 9), w=st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_factor_1_is_the_image(blend, c, h, w):
    x = images(2, c, h, w)
    assert torch.equal(blend(x, torch.ones(2)), x)


@pytest.mark.parametrize("blend", BLENDS)
def test_each_image_has_its_own_factor(blend):
    x = images(1, 3, 8, 8).expand(3, 3, 8, 8)
    factors = torch.tensor([0.0, 0.5, 1.7])
    together = blend(x, factors)
    for i in range(3):
        assert torch.equal(together[i : i + 1], blend(x[i : i + 1], factors[i : i + 1]))
    assert not torch.equal(together[0], together[1])


def test_factor_0_is_the_dull_form():
    x, zero = images(2, 3, 8, 8), torch.zeros(2)
    assert not brightness(x, zero).any()
    assert (contrast(x, zero).flatten(1) == contrast(x, zero).flatten(1)[:, :1]).all()
    grey = saturation(x, zero).int()
    assert (grey[:, 0] == grey[:, 1]).all()
    assert (grey[:, 1] == grey[:, 2]).all()


def test_a_blur_keeps_the_edge_and_a_spike_spreads_in_thirteenths():
    x = torch.zeros(1, 1, 5, 5, dtype=torch.uint8)
    x[0, 0, 2, 2] = 130
    out = sharpness(x, torch.zeros(1))[0, 0]
    assert out[2, 2] == 50
    assert (out[1:4, 1:4].flatten()[[0, 1, 2, 3, 5, 6, 7, 8]] == 10).all()
    assert not torch.cat([out[0], out[-1], out[:, 0], out[:, -1]]).any()


def test_the_saturation_matrix_is_linear_in_its_factor():
    m = saturation_matrix(torch.tensor([0.0, 1.0, 2.0]))
    torch.testing.assert_close(m[2] - m[1], m[1] - m[0])
    torch.testing.assert_close(m[0].sum(0), torch.full((3,), 0.9999))


@pytest.mark.parametrize("c", [1, 3])
def test_mean_grey_is_the_mean_of_the_weighted_channels(c):
    x = images(3, c, 7, 5)
    weights = torch.tensor([0.2989, 0.587, 0.114]) if c == 3 else torch.ones(1)
    expected = (x.double() * weights.view(1, c, 1, 1)).sum(1).mean((1, 2)).float()
    torch.testing.assert_close(mean_grey(x.permute(0, 2, 3, 1).float()), expected)


def test_bytes_are_cut_and_truncated():
    values = torch.tensor([-1e9, -0.1, 0.0, 0.99, 127.5, 254.99, 255.0, 255.9, 1e9])
    assert as_bytes(values.view(1, 1, -1, 1)).flatten().tolist() == [0, 0, 0, 0, 127, 254, 255, 255, 255]
