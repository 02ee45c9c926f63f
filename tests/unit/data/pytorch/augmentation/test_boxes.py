from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.data.pytorch.augmentation.boxes import Boxes

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
