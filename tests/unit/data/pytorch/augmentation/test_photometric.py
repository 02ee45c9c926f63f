from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from convscope.data.pytorch.augmentation.photometric import (
    as_bytes,
    autocontrast,
    brightness,
    contrast,
    equalize,
    invert,
    mean_grey,
    posterize,
    saturation,
    saturation_matrix,
    sharpness,
    solarize,
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


pictures = arrays.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])))
EVERY = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)


def batch(p: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(p)[None].permute(0, 3, 1, 2)


def pillow(p: np.ndarray, change) -> np.ndarray:
    image = Image.fromarray(p[..., 0] if p.shape[2] == 1 else p)
    return np.asarray(change(image)).reshape(p.shape)


@given(p=pictures, bits=st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_posterize_is_pillows(p, bits):
    out = posterize(batch(p), torch.tensor([bits]))
    np.testing.assert_array_equal(out[0].permute(1, 2, 0), pillow(p, lambda i: ImageOps.posterize(i, bits)))


@given(p=pictures, threshold=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_solarize_is_pillows(p, threshold):
    out = solarize(batch(p), torch.tensor([float(threshold)]))
    np.testing.assert_array_equal(
        out[0].permute(1, 2, 0), pillow(p, lambda i: ImageOps.solarize(i, threshold))
    )


@given(p=pictures)
@settings(max_examples=60, deadline=None)
def test_invert_is_pillows(p):
    np.testing.assert_array_equal(invert(batch(p))[0].permute(1, 2, 0), pillow(p, ImageOps.invert))


@given(p=pictures)
@settings(max_examples=60, deadline=None)
def test_autocontrast_is_pillows_to_a_level(p):
    ours = autocontrast(batch(p))[0].permute(1, 2, 0).numpy().astype(int)
    # Pillow multiplies by a rounded 255/(high − low) and truncates, so it may stay a level below the true
    # value.
    assert np.abs(ours - pillow(p, ImageOps.autocontrast)).max() <= 1


@given(
    p=arrays.arrays(np.uint8, st.tuples(st.integers(16, 24), st.integers(16, 24), st.sampled_from([1, 3])))
)
@settings(max_examples=40, deadline=None)
def test_equalize_is_pillows(p):
    np.testing.assert_array_equal(equalize(batch(p))[0].permute(1, 2, 0), pillow(p, ImageOps.equalize))


def test_equalize_flattens_a_dull_image():
    rng = np.random.default_rng(0)
    out = equalize(batch(rng.integers(100, 120, (64, 64, 1), dtype=np.uint8)))
    assert int(out.max()) - int(out.min()) > 220


def test_autocontrast_reaches_both_ends_of_every_channel():
    rng = np.random.default_rng(0)
    x = batch(rng.integers(60, 190, (9, 7, 3), dtype=np.uint8))
    out = autocontrast(x).flatten(2)
    assert out.amin(2).tolist() == [[0, 0, 0]]
    assert out.amax(2).tolist() == [[255, 255, 255]]


@pytest.mark.parametrize("change", [autocontrast, equalize])
def test_a_flat_image_stays(change):
    for level in (0, 7, 255):
        x = torch.full((2, 3, 5, 4), level, dtype=torch.uint8)
        assert torch.equal(change(x), x)


def test_images_of_a_batch_have_their_own_parameters():
    x = EVERY.expand(3, 1, 16, 16)
    bits, threshold = torch.tensor([0, 1, 8]), torch.tensor([0.0, 100.2, 255.0])
    assert [len(image.unique()) for image in posterize(x, bits)] == [1, 2, 256]
    flipped = solarize(x, threshold) != x
    assert flipped.flatten(1).sum(1).tolist() == [256, 155, 1]
