"""A data set that a small network learns in an epoch or two, in every form that sources read, and quick
settings.

Class k has a brighter third of the picture, over noise that makes no two images near duplicates.
"""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CLASSES = ("ant", "bee", "cow")
SIDE = 12


def pictures(count: int, *, channels: int = 1, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 N×12×12×C and labels N of three classes, as good as equally many of each."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(CLASSES)
    images = rng.integers(0, 130, (count, SIDE, SIDE, channels), dtype=np.uint8)
    third = SIDE // len(CLASSES)
    for k in range(len(CLASSES)):
        images[labels == k, third * k : third * (k + 1)] += 100
    return images, labels


def write_npz(
    path: Path, *, train: int = 180, test: int = 45, channels: int = 1, classes: tuple[str, ...] = CLASSES
) -> Path:
    x, y = pictures(train, channels=channels)
    x_test, y_test = pictures(test, channels=channels, seed=1)
    held_out = {"x_test": x_test, "y_test": y_test} if test else {}
    np.savez(path, x_train=x, y_train=y, classes=np.array(classes), **held_out)
    return path


def write_folder(
    root: Path, *, count: int = 90, channels: int = 3, classes: tuple[str, ...] = CLASSES
) -> Path:
    images, labels = pictures(count, channels=channels)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        place = root / classes[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image if channels == 3 else image[:, :, 0]).save(place / f"{number:03}.png")
    return root


def write_csv(root: Path, *, channels: int = 3) -> Path:
    write_folder(root / "pictures", channels=channels)
    rows = [
        f"{p.relative_to(root).as_posix()},{p.parent.name}"
        for p in sorted((root / "pictures").rglob("*.png"))
    ]
    (root / "table.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    return root / "table.csv"


def write_idx(root: Path) -> Path:
    root.mkdir()
    for stem, seed, count in (("train", 0, 120), ("t10k", 1, 45)):
        images, labels = pictures(count, seed=seed)
        for kind, dimensions, values in (
            ("images-idx3", (count, SIDE, SIDE), images[..., 0]),
            ("labels-idx1", (count,), labels.astype(np.uint8)),
        ):
            header = struct.pack(f">HBB{len(dimensions)}I", 0, 8, len(dimensions), *dimensions)
            (root / f"{stem}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + values.tobytes()))
    return root


def write_parquet(root: Path, *, channels: int = 3) -> Path:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    root.mkdir()
    for split, seed, count in (("train", 0, 120), ("test", 1, 45)):
        images, labels = pictures(count, channels=channels, seed=seed)
        cells = []
        for image in images:
            file = io.BytesIO()
            Image.fromarray(image if channels == 3 else image[:, :, 0]).save(file, "PNG")
            cells.append({"bytes": file.getvalue(), "path": None})
        table = pa.table({"image": cells, "label": [CLASSES[k] for k in labels]})
        pq.write_table(table, root / f"{split}-00000-of-00001.parquet")
    return root


def settings(**train: Any) -> dict[str, Any]:
    """A configuration of seconds: 2 epochs of batches of 24 on one thread in float32, no scan; `train` goes
    over it.
    """
    quick = {"epochs": 2, "batch_size": 24, "lr": 0.05, "precision": "float32", "threads": 1, "device": "cpu"}
    return {"data": {"quarantine": "none"}, "model": {"name": "simple_cnn"}, "train": quick | train}
