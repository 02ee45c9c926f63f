"""How many images go through a network at once: one rule for all places where they do not fit in memory."""

from __future__ import annotations

MOST_IMAGES, MOST_PIXELS = 256, 1_000_000
"""In one batch: 256 images of 32×32, 19 of 224×224. Maps of 256 photographs would take a gigabyte a layer."""


def max_batch_size(height: int, width: int, *, cost: int = 1) -> int:
    """How many images a network gets at once, at least one.

    Args:
        height: of an image in pixels, 1 or more.
        width: of an image in pixels, 1 or more.
        cost: how many times the memory of a forward pass an image takes, 1 or more. With gradients it is 4:
            the maps of all layers are kept for the way back, and not those of one.

    >>> max_batch_size(28, 28), max_batch_size(224, 224), max_batch_size(3000, 2000)
    (256, 19, 1)
    >>> max_batch_size(28, 28, cost=4), max_batch_size(224, 224, cost=4)
    (64, 4)
    """
    # A photograph of 3000×2000 is six times the limit by itself, and goes alone.
    return max(1, min(MOST_IMAGES // cost, MOST_PIXELS // (cost * height * width)))
