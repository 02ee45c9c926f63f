from __future__ import annotations

import pytest

from convscope.core.batch_size import max_batch_size


@pytest.mark.parametrize(
    ("height", "width", "images"),
    [(12, 12, 256), (62, 63, 256), (128, 128, 61), (300, 200, 16), (1024, 1024, 1)],
)
def test_batches_fit_in_memory(height, width, images):
    assert max_batch_size(height, width) == images


@pytest.mark.parametrize("side", [1, 28, 62, 64, 128, 224, 500, 1024])
def test_a_batch_of_dear_images_takes_no_more_memory(side):
    dear = max_batch_size(side, side, cost=4)
    assert dear == max(1, min(64, 250_000 // side**2)) and (
        dear == 1 or 4 * dear <= max_batch_size(side, side)
    )
