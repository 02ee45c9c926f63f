from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.data.pytorch.augmentation.erase import Boxes, cutout, erase, random_erasing

side = st.lists(st.integers(-4, 12), min_size=3, max_size=3)


def slow(boxes: Boxes, n: int, h: int, w: int) -> torch.Tensor:
    """The covered pixels, bool N×H×W, one at a time."""
    out = torch.zeros(n, h, w, dtype=torch.bool)
    for i in range(n):
        for y in range(h):
            for x in range(w):
                out[i, y, x] = boxes.top[i] <= y < boxes.bottom[i] and boxes.left[i] <= x < boxes.right[i]
    return out


@given(top=side, bottom=side, left=side, right=side, h=st.integers(1, 8), w=st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_rows_columns_and_area_are_those_of_the_covered_pixels(top, bottom, left, right, h, w):
    boxes = Boxes(*(torch.tensor(end) for end in (top, bottom, left, right)))
    covered = torch.zeros(3 * h, w * 3, dtype=torch.bool)
    rows = boxes.rows(h)
    covered[rows] = boxes.columns(w, 3)[rows // h]
    expected = slow(boxes, 3, h, w)
    assert torch.equal(covered.view(3, h, w, 3), expected[..., None].expand(3, h, w, 3))
    assert torch.equal(boxes.area(h, w), expected.sum((1, 2)))


def ones(n: int, c: int = 3, h: int = 32, w: int = 32) -> torch.Tensor:
    return torch.full((n, h, w, c), 200, dtype=torch.uint8).permute(0, 3, 1, 2)


@pytest.mark.parametrize("fill", [0, 1, 127, 255])
@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("w", [7, 8])
def test_exactly_the_box_is_filled(fill, c, w):
    torch.manual_seed(0)
    x = torch.randint(0, 256, (3, c, 6, w), dtype=torch.uint8)
    boxes = Boxes(*(torch.tensor(end) for end in ([0, 2, 3], [6, 4, 3], [-1, 3, 0], [2, 99, 5])))
    expected = x.clone()
    expected[0, :, 0:6, 0:2] = fill
    expected[1, :, 2:4, 3:] = fill
    assert torch.equal(erase(x, boxes, fill=fill), expected)


def test_cutout_covers_a_square_about_a_centre_anywhere():
    out = cutout(ones(3000, h=16, w=16), torch.Generator().manual_seed(0), size=5)
    covered = (out == 0).all(1)
    assert torch.equal(covered, (out == 0).any(1)), "all channels or none"
    assert covered.flatten(1).sum(1).amax() == 25
    assert covered.flatten(1).sum(1).amin() == 9, (
        "a centre in the corner leaves three pixels of five each way"
    )
    assert covered.float().mean(0).amin() > 0, "every pixel is covered some time"


@pytest.mark.parametrize(("h", "w", "size"), [(32, 32, 8), (28, 40, 7), (2, 3, 1)])
def test_the_usual_square_has_a_quarter_of_the_shorter_side(h, w, size):
    out = cutout(ones(500, h=h, w=w), torch.Generator().manual_seed(0))
    assert int((out[:, 0] == 0).flatten(1).sum(1).amax()) == size * size


def test_random_erasing_keeps_to_its_probability_area_and_shape():
    x = ones(4000)
    out = random_erasing(x, torch.Generator().manual_seed(0), p=0.4, area=(0.1, 0.3), ratio=(0.5, 2.0))
    covered = (out == 0).all(1)
    hit = covered.flatten(1).any(1)
    assert abs(float(hit.float().mean()) - 0.4) < 0.04, "five standard deviations"
    share = covered[hit].float().mean((1, 2))
    assert 0.08 < float(share.min()) < 0.11, "whole pixels: a little off the ends"
    assert 0.29 < float(share.max()) < 0.32
    assert abs(float(share.mean()) - 0.2) < 0.01
    tall, wide = covered[hit].any(2).sum(1), covered[hit].any(1).sum(1)
    assert torch.equal(tall * wide, covered[hit].sum((1, 2))), "one whole rectangle inside the image"
    shape = tall / wide
    assert 0.4 < float(shape.min()) < 0.6
    assert 1.7 < float(shape.max()) < 2.4
    assert abs(float(shape.log().mean())) < 0.05, "as often tall as wide"


def test_p_0_erases_nothing_and_p_1_every_image():
    x = ones(50)
    assert torch.equal(random_erasing(x, torch.Generator(), p=0.0), x)
    assert (random_erasing(x, torch.Generator(), p=1.0) == 0).flatten(1).any(1).all()
