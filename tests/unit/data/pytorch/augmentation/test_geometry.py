from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.data.pytorch.augmentation.geometry import (
    mirror,
    padded_crop,
    random_flip,
    random_vertical_flip,
    shifted_crop,
)


def images(n: int, c: int, h: int, w: int) -> torch.Tensor:
    values = np.random.default_rng(0).integers(1, 256, (n, h, w, c), dtype=np.uint8)
    return torch.from_numpy(values).permute(0, 3, 1, 2)


shapes = st.tuples(st.integers(1, 4), st.sampled_from([1, 3]), st.integers(1, 12), st.integers(1, 12))


@given(shape=shapes, seed=st.integers(0, 99), vertical=st.booleans())
@settings(max_examples=50, deadline=None)
def test_mirroring_twice_gives_the_image_back(shape, seed, vertical):
    x = images(*shape)
    chosen = torch.rand(shape[0], generator=torch.Generator().manual_seed(seed)) < 0.5
    assert torch.equal(mirror(mirror(x, chosen, vertical=vertical), chosen, vertical=vertical), x)


@given(
    shape=shapes, pad=st.integers(1, 5), seed=st.integers(0, 99), border=st.sampled_from(["zero", "reflect"])
)
@settings(max_examples=100, deadline=None)
def test_a_crop_is_a_slice_of_the_padded_image(shape, pad, seed, border):
    n, _, h, w = shape
    if border == "reflect" and pad >= min(h, w):
        return
    x = images(*shape)
    top, left = np.random.default_rng(seed).integers(0, 2 * pad + 1, (2, n))
    out = shifted_crop(x, torch.from_numpy(top), torch.from_numpy(left), pad=pad, border=border)
    mode = "constant" if border == "zero" else "reflect"
    padded = np.pad(x.numpy(), [(0, 0), (0, 0), (pad, pad), (pad, pad)], mode=mode)
    for i in range(n):
        np.testing.assert_array_equal(out[i], padded[i, :, top[i] : top[i] + h, left[i] : left[i] + w])


@pytest.mark.parametrize("flip", [random_flip, random_vertical_flip])
def test_flips_come_as_often_as_asked(flip):
    x = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8).expand(4000, 1, 2, 2)
    for p in (0.0, 0.3, 1.0):
        out = flip(x, torch.Generator().manual_seed(0), p=p)
        share = float((out[:, 0, 0, 0] != 1).float().mean())
        assert abs(share - p) <= 4 * (p * (1 - p) / 4000) ** 0.5


def test_positions_of_a_padded_crop_are_uniform():
    # A single bright pixel in the middle tells where the window lay.
    x = torch.zeros(8100, 1, 9, 9, dtype=torch.uint8)
    x[:, 0, 4, 4] = 1
    at = padded_crop(x, torch.Generator().manual_seed(0), pad=1).flatten(1).argmax(1)
    counts = at.bincount(minlength=81).view(9, 9)[3:6, 3:6]
    assert int(counts.sum()) == 8100
    assert (counts - 900).abs().max() < 150, "five standard deviations"


def test_the_usual_pad_is_an_eighth_of_the_height():
    for h, pad in ((4, 1), (28, 4), (32, 4), (64, 8)):
        x = torch.full((500, 1, h, h), 255, dtype=torch.uint8)
        black = (padded_crop(x, torch.Generator().manual_seed(0)) == 0).sum(2).amax()
        assert int(black) in (pad, h), (
            "as many rows are black as the window can leave the image, or a whole column is"
        )


def test_a_border_that_does_not_fit_is_refused():
    x = images(1, 1, 4, 8)
    with pytest.raises(UserError, match="reflected border of 4 pixels needs larger images than 4×8"):
        padded_crop(x, torch.Generator(), pad=4, border="reflect")
    with pytest.raises(UserError, match="no border 'wrap'; allowed: zero, reflect"):
        padded_crop(x, torch.Generator(), pad=1, border="wrap")
