"""Does the maximum of a map lie where the answer was decided? On made-up images, where that place is known.

    python benchmarks/pointing.py      # some minutes on one thread; benchmarks/results/pointing.json

Each image is noise, and somewhere in it lies a square of 16 pixels with one of five textures, of the same
mean and contrast as the noise: which texture is the class, so that nothing outside of the square tells it. A
resnet20 is trained on such images, once in grey and once in colour. Of the test images that it answers
rightly each method makes a map, and it has pointed at the square when the maximum of the map lies in it, or
no further from it than a cell of the last feature map, which is 4 pixels wide. An image for which a method
refuses a map counts as missed. By chance is the share of pixels that would do. A second figure is the same
for the mean over each cell of 4×4 pixels: methods that speak of single pixels, of which one alone decides
nothing, share one place's weight out over many.

A sixth class is noise without a square; no map is made of it. Where it was left out, the network learned to
answer "checks" where it saw none of the other four textures, which is no answer that a square decides:
integrated gradients then pointed at 17 % of the squares with checks and at 95 % of the others (grey images,
300).
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

import convscope
from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.explanation.attribute import explain_images
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import Method, methods
from record import record

CLASSES = ("rows", "columns", "rising", "falling", "checks", "nothing")
SIDE, PATCH, CELL = 48, 16, 4
TRAINING, TESTED, LEAST = 3000, 300, 200
REQUIRED = ("grad_cam", "occlusion", "integrated_gradients")
REACH = 0.95


def texture(kind: str, phase: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Dark and bright pixels PATCH×PATCH with a period of four, half of them bright."""
    y, x = np.mgrid[:PATCH, :PATCH] + phase[:, None, None]
    where = {"rows": y, "columns": x, "rising": x + y, "falling": x - y}
    return (y // 2 + x // 2) % 2 == 1 if kind == "checks" else where[kind] // 2 % 2 == 1


def pictures(
    count: int, *, channels: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Images uint8 N×48×48×C, their classes N, and the upper left corner N×2 of each square."""
    rng = np.random.default_rng(seed)
    bright = rng.integers(0, 2, (count, SIDE, SIDE)).astype(bool)
    labels = np.arange(count) % len(CLASSES)
    corners = rng.integers(0, SIDE - PATCH + 1, (count, 2))
    for picture, label, (top, left) in zip(bright, labels, corners, strict=True):
        if CLASSES[label] != "nothing":
            picture[top : top + PATCH, left : left + PATCH] = texture(CLASSES[label], rng.integers(0, 4, 2))
    # Two colours a picture, the same for square and noise, and a little noise on top that textures have as
    # well.
    dark = rng.integers(20, 90, (count, 1, 1, channels))
    light = rng.integers(160, 230, (count, 1, 1, channels))
    images = np.where(bright[..., None], light, dark) + rng.integers(-20, 21, (count, SIDE, SIDE, channels))
    return images.astype(np.uint8), labels, corners


def trained(folder: Path, channels: int) -> tuple[ExplainedModel, float]:
    """A resnet20 that tells the textures apart, and the seconds that it took."""
    images, labels, _ = pictures(TRAINING, channels=channels, seed=0)
    np.savez(folder / "squares.npz", x_train=images, y_train=labels, classes=np.array(CLASSES))
    config = RunConfig.from_dict(
        {
            "data": {"source": str(folder / "squares.npz"), "quarantine": "none"},
            "model": {"name": "resnet20"},
            "augment": {"policy": "none"},
            "train": {"epochs": 8, "threads": 1, "device": "cpu"},
        }
    )
    start = time.perf_counter()
    run = convscope.train(config=config, out=folder / "run", quiet=True)
    return ExplainedModel.of(run.network), time.perf_counter() - start


def hits(maps: NDArray[Any], corners: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the maximum of each map N×H×W lies in its square, or within a cell of it."""
    place = np.stack(np.unravel_index(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[1:]), axis=1)
    return ((place >= corners - CELL) & (place < corners + PATCH + CELL)).all(axis=1)


def chance(corners: NDArray[np.int64]) -> float:
    """The share of pixels that count as a hit, the mean over the images."""
    sides = np.minimum(corners + PATCH + CELL, SIDE) - np.maximum(corners - CELL, 0)
    return float((sides.prod(axis=1) / SIDE**2).mean())


def pointed(model: ExplainedModel, method: Method, test: tuple[NDArray[Any], ...]) -> dict[str, Any]:
    """How often a method hits, in all and by class, how often it gives no map, and its milliseconds an
    image."""
    images, labels, corners = test
    start = time.perf_counter()
    try:
        found = explain_images(model, images, method)
    except UserError as refusal:
        return {"refused": str(refusal)}
    seconds = time.perf_counter() - start
    refused = np.array([reason is not None for reason in found.refused])
    hit = hits(found.heat_maps, corners) & ~refused
    cells = uniform_filter(found.heat_maps, (1, CELL, CELL))
    return {
        "hit": round(float(hit.mean()), 4),
        "hit_by_cells": round(float((hits(cells, corners) & ~refused).mean()), 4),
        "by_class": {CLASSES[k]: round(float(hit[labels == k].mean()), 3) for k in np.unique(labels)},
        "no_map": int(refused.sum()),
        "ms_an_image": round(1e3 * seconds / len(images), 1),
    }


def measured(channels: int) -> dict[str, Any]:
    """The table of one kind of images."""
    with tempfile.TemporaryDirectory() as folder:
        model, seconds = trained(Path(folder), channels)
    images, labels, corners = pictures(TESTED, channels=channels, seed=1)
    right = model.predictor.predict(images).argmax(axis=1) == labels
    shown = right & (labels != CLASSES.index("nothing"))
    test = (images[shown], labels[shown], corners[shown])
    if shown.sum() < LEAST:
        raise SystemExit(f"only {shown.sum()} squares were answered rightly; {LEAST} are needed")
    table = {}
    for name in methods:
        table[name] = pointed(model, methods[name], test)
        print(f"{channels} channel(s)  {name:22} {table[name]}", flush=True)
    return {
        "channels": channels,
        "accuracy": round(float(right.mean()), 4),
        "images": int(shown.sum()),
        "layer": model.shown_layer,
        "chance": round(chance(test[2]), 4),
        "training_seconds": round(seconds, 1),
        "methods": table,
    }


def words(table: dict[str, Any], name: str) -> str:
    """The figures of one method in one table."""
    row = table["methods"][name]
    colours = "grey" if table["channels"] == 1 else "colour"
    return f"{row['hit']:.1%} ({row['hit_by_cells']:.1%} by cells) in {colours}"


def main() -> None:
    """Both kinds of images; every method."""
    tables = [measured(channels) for channels in (1, 3)]
    print([{key: value for key, value in table.items() if key != "methods"} for table in tables])
    headline = [
        {
            "what": f"pointing test, {methods[name].title}, maximum in the square or a cell from it",
            "measured": " and ".join(words(t, name) for t in tables)
            + f", {tables[0]['images']} and {tables[1]['images']} images; by chance "
            f"{tables[0]['chance']:.0%}",
            "reach": f"≥ {REACH:.0%}",
        }
        for name in REQUIRED
        if name in methods
    ]
    record("pointing", {"side": SIDE, "square": PATCH, "cell": CELL, "tables": tables, "headline": headline})


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"})
    main()
