from __future__ import annotations

import colorsys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import UserError
from convscope.data.pytorch.augmentation.colour import colour_jitter, greyscale, hue, jitter, random_greyscale

byte = st.integers(0, 255)


def pixel(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.uint8).view(1, len(values), 1, 1)


@given(r=byte, g=byte, b=byte, turn=st.floats(-0.5, 0.5))
@settings(max_examples=200, deadline=None)
def test_hue_turns_as_in_the_standard_library(r, g, b, turn):
    h, s, v = colorsys.rgb_to_hsv(r / 255, g / 255, b / 255)
    expected = torch.tensor(colorsys.hsv_to_rgb((h + turn) % 1, s, v)) * 255
    out = hue(pixel(r, g, b), torch.tensor([turn])).flatten()
    assert (out - expected).abs().max() <= 0.501, "rounded to the nearest level"


def test_a_third_of_a_circle_moves_the_channels_on():
    x = torch.randint(0, 256, (8, 3, 6, 5), dtype=torch.uint8)
    assert torch.equal(hue(x, torch.full((8,), 1 / 3)), x.roll(1, dims=1))


def test_batches_of_many_blocks_turn_each_image_by_its_own_amount():
    x = torch.randint(0, 256, (5, 3, 200, 200), dtype=torch.uint8)
    turn = torch.tensor([0.0, 1 / 3, -1 / 3, 0.25, 0.5])
    out = hue(x, turn)
    assert torch.equal(out[0], x[0])
    assert torch.equal(out[1], x[1].roll(1, dims=0))
    assert torch.equal(out[2], x[2].roll(-1, dims=0))
    assert torch.equal(out[4:], hue(x[4:], turn[4:]))


def test_grey_pixels_have_no_hue():
    x = pixel(90, 90, 90)
    assert torch.equal(hue(x, torch.tensor([0.4])), x)


@pytest.mark.parametrize("change", [lambda x: hue(x, torch.full((4,), 0.3)), greyscale])
def test_one_channel_stays(change):
    x = torch.randint(0, 256, (4, 1, 6, 5), dtype=torch.uint8)
    out = change(x)
    assert torch.equal(out, x)
    assert out.data_ptr() != x.data_ptr()


def test_jitter_of_ones_changes_nothing():
    x, one = torch.randint(0, 256, (4, 3, 6, 5), dtype=torch.uint8), torch.ones(4)
    apart = jitter(x, brightness=one, contrast=one, saturation=one).int() - x.int()
    assert apart.abs().max() == 0


def test_jitter_is_linear_before_it_is_cut():
    x = torch.randint(100, 150, (4, 3, 6, 5), dtype=torch.uint8)
    b, c, s = torch.full((4,), 1.1), torch.full((4,), 0.7), torch.full((4,), 1.3)
    p = x.double() * 1.1
    grey = (p * torch.tensor([0.2989, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    p = 0.7 * p + 0.3 * grey.mean((1, 2, 3), keepdim=True)
    grey = (p * torch.tensor([0.2989, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    expected = 1.3 * p - 0.3 * grey
    assert (jitter(x, brightness=b, contrast=c, saturation=s) - expected).abs().max() <= 1.1, (
        "truncated, and grey of grey is 0.9999 of it"
    )


def test_colour_jitter_keeps_to_its_ranges():
    x = torch.full((2000, 1, 1, 1), 100, dtype=torch.uint8)
    out = colour_jitter(x, torch.Generator().manual_seed(0), brightness=0.3, contrast=0.0, saturation=0.0)
    assert (int(out.min()), int(out.max())) in {(69, 129), (70, 129), (70, 130)}
    assert abs(float(out.float().mean()) - 99.5) < 2


def test_colour_jitter_of_nothing_changes_nothing():
    x = torch.randint(0, 256, (4, 3, 6, 5), dtype=torch.uint8)
    out = colour_jitter(x, torch.Generator(), brightness=0, contrast=0, saturation=0, hue_turn=0)
    assert torch.equal(out, x)


@pytest.mark.parametrize("turn", [-0.1, 0.51])
def test_a_hue_turn_beyond_half_a_circle_is_refused(turn):
    with pytest.raises(UserError, match=r"between 0 and 0\.5"):
        colour_jitter(pixel(1, 2, 3), torch.Generator(), hue_turn=turn)


def test_greyscale_comes_as_often_as_asked():
    x = pixel(255, 0, 0).expand(4000, 3, 1, 1)
    out = random_greyscale(x, torch.Generator().manual_seed(0), p=0.2)
    assert abs(float((out[:, 1] > 0).float().mean()) - 0.2) < 0.032, "five standard deviations"
    assert torch.equal(random_greyscale(x, torch.Generator(), p=0.0), x)
