"""Photographs that a network with trained weights tells apart at a glance, and settings that make its runs
quick.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from convscope.core.config import RunConfig
from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import PreparedSplit, prepare_split
from convscope.data.preparing.preprocess import Preprocess

CLASSES = ("checks", "stripes", "waves")
HEIGHT, WIDTH = 80, 70


def pictures(count: int, *, channels: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Photographs uint8 N×80×70×C under noise and labels N of three classes, as good as equally many of
    each."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    patterns = np.stack([(x // 9 + y // 9) % 2, y // 5 % 2, (x + 6 * np.sin(y / 6)) // 4 % 2])
    labels = np.arange(count) % len(CLASSES)
    images = np.repeat(80 * patterns[labels][..., None], channels, axis=3) + rng.integers(
        0, 90, (count, 1, 1, channels)
    )
    return (images + rng.integers(0, 60, images.shape)).astype(np.uint8), labels


def write(root: Path, *, count: int = 48, channels: int = 3) -> Path:
    """A folder a class, with PNG files."""
    images, labels = pictures(count, channels=channels)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = root / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image if channels == 3 else image[:, :, 0]).save(place / f"{number:03}.png")
    return root


def part(count: int, *, channels: int = 3, side: int = 72, seed: int = 0) -> PreparedSplit:
    """The same, prepared to squares."""
    images, labels = pictures(count, channels=channels, seed=seed)
    return prepare_split(ArrayDataset(images, labels, CLASSES), Preprocess(channels, side, side))


def config(source: Path | str, **sections: Any) -> RunConfig:
    """72 pixels, 24 images at a time, one thread, float32, no scan; `sections` go over it."""
    quick = {
        "data": {"source": str(source), "size": 72, "quarantine": "none", "validation": 0.25, "test": 0.2},
        "train": {"epochs": 3, "batch_size": 12, "precision": "float32", "threads": 1, "device": "cpu"},
    }
    return RunConfig.from_dict(quick).merge(sections)
