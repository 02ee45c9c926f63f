"""Data sets of a few hundred bytes a picture, hard enough that a small network makes mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

ANIMALS = ("ant", "bee", "cow")
PATTERNS = ("checks", "stripes", "waves")


def animals(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 N×12×12×1 and labels N: class k has a third that is a little brighter, under noise."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 190, (count, 12, 12, 1), dtype=np.uint8)
    for k in range(3):
        images[labels == k, 4 * k : 4 * (k + 1)] += 22
    return images, labels


def write_npz(path: Path, *, train: int = 180, test: int = 45, seed: int = 0) -> Path:
    """An .npz with an official test split."""
    x, y = animals(train, seed)
    x_test, y_test = animals(test, seed + 1)
    np.savez(path, x_train=x, y_train=y, x_test=x_test, y_test=y_test, classes=np.array(ANIMALS))
    return path


def photographs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 N×80×70×3 and labels N of three textures in many colours, under noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:80, :70]
    patterns = np.stack([(x // 9 + y // 9) % 2, y // 5 % 2, (x + 6 * np.sin(y / 6)) // 4 % 2])
    labels = np.arange(count) % 3
    images = np.repeat(40 * patterns[labels][..., None], 3, axis=3) + rng.integers(0, 100, (count, 1, 1, 3))
    return (images + rng.integers(0, 120, images.shape)).astype(np.uint8), labels


def write_photographs(root: Path, *, count: int = 60) -> Path:
    """A folder a class, as people have them: three labels wrong, one picture with two, one file torn."""
    images, labels = photographs(count)
    labels[[4, 17, 30]] = (labels[[4, 17, 30]] + 1) % 3
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = root / PATTERNS[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number:03}.png")
    whole = (root / "checks" / "000.png").read_bytes()
    (root / "checks" / "again.png").write_bytes(whole)
    (root / "waves" / "elsewhere.png").write_bytes((root / "stripes" / "001.png").read_bytes())
    (root / "waves" / "torn.png").write_bytes(whole[:700])
    return root
