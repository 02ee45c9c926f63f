from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageOps

from convscope.data.pytorch.augmentation.tone import autocontrast, equalize, invert, posterize, solarize

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


def test_equalize_spreads_a_dull_picture():
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
