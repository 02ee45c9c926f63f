"""A made-up network whose answer depends on one patch, so that what a map should show is known."""

from __future__ import annotations

import numpy as np

SIDE, PATCH = 16, slice(4, 8)


class PatchAnswers:
    """Is the patch (rows and columns 4 to 7) lighter than the rest? Counts how often it is asked."""

    classes = ("no", "yes")

    def __init__(self) -> None:
        self.calls = 0

    def predict(self, images: np.ndarray) -> np.ndarray:
        self.calls += 1
        light = images[:, PATCH, PATCH].astype(np.float32).mean(axis=(1, 2, 3)) - 140
        return np.stack([-light / 12, light / 12], axis=1)


def patch_images(count: int, *, channels: int = 1) -> np.ndarray:
    """Noise up to 120, uint8 N×16×16×C, with a white patch."""
    images = np.random.default_rng(3).integers(0, 120, (count, SIDE, SIDE, channels), dtype=np.uint8)
    images[:, PATCH, PATCH] = 250
    return images


def patch_map(count: int) -> np.ndarray:
    """The map N×16×16 that is right."""
    right = np.zeros((count, SIDE, SIDE))
    right[:, PATCH, PATCH] = 1
    return right
