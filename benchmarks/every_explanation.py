"""Every registered network × every method, on 28×28×1 and on 64×64×3: a finite map, or a refusal in words.

    python benchmarks/every_explanation.py [NETWORK ...]   # half an hour, one thread;
    results/every_explanation.json

Networks are fresh, but for batch norms that have seen a batch. One image each, its predicted class and
another one. Methods that ask again and again are asked less often, since only whether they fit is asked here:
Score-CAM of the first 16 maps, RISE with 50 masks, occlusion with a window of half the image, SmoothGrad with
4 copies, integrated gradients in 8 steps, or 32 where those do not add up: deep networks with fresh weights
are then refused more often than with 32 and 256. A crash, a map with NaN or one of another size is a failure.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from convscope.core.errors import ConvscopeError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribute import explain_images
from convscope.explanation.attribution import class_activation, gradients, integrated, occlusion, rise
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import methods
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants
from record import record

CLASSES = tuple("abcdefghij")
SHAPES = ((28, 28, 1), (64, 64, 3))


def ask_less_often() -> None:
    """Fewer maps, masks, windows, copies and steps."""

    def first_maps(*args: Any) -> np.ndarray:
        return layer_maps(*args)[:, :16]

    def halves(predictor: Any, images: Any, targets: Any, *, fill: Any) -> Any:
        half = images.shape[1] // 2
        return windows(predictor, images, targets, fill=fill, window=half, stride=half)

    layer_maps, windows = class_activation.layer_maps, occlusion.occlusion
    occlusion.occlusion = halves
    class_activation.layer_maps = first_maps
    rise.rise = partial(rise.rise, masks=50)
    gradients.smooth_gradient = partial(gradients.smooth_gradient, copies=4)
    integrated.STEPS, integrated.MOST_STEPS = 8, 32


def fresh(name: str, shape: tuple[int, int, int]) -> tuple[ExplainedModel, np.ndarray]:
    """A network whose norms have seen a batch, and an image."""
    height, width, channels = shape
    torch.manual_seed(0)
    network = create(name, input_shape=(channels, height, width), classes=len(CLASSES)).eval()
    model = ExplainedModel.of(TorchPredictor(network, Preprocess(channels, height, width), CLASSES))
    images = np.random.default_rng(0).integers(0, 256, (4, *shape), np.uint8)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None
            layer.train()
    with torch.no_grad():
        network(torch.from_numpy(model.inputs(images)))
    network.eval()
    return model, images[:1]


def outcome(model: ExplainedModel, images: np.ndarray, name: str) -> str:
    """In a word or two what came of a method: map, refused: WHY or failed: WHY."""
    best = model.predictor.predict(images).argmax(axis=1)
    told = []
    try:
        for targets in (best, (best + 1) % len(CLASSES)):
            found = explain_images(model, images, methods[name], targets=targets)
            if found.heat_maps.shape != images.shape[:3] or not np.isfinite(found.heat_maps).all():
                return f"failed: a map {found.heat_maps.shape} that is not finite, or not of the image's size"
            told += [reason for reason in found.refused if reason]
    except ConvscopeError as refusal:
        told.append(str(refusal))
    except Exception as crash:  # whatever it is, it is what is looked for
        return f"failed: {type(crash).__name__}: {crash}"
    return f"refused: {told[0]}" if told else "map"


def main(names: list[str]) -> None:
    """The whole table; exit code 1 where a cell failed."""
    ask_less_often()
    warnings.simplefilter("error")
    table: dict[str, dict[str, str]] = {}
    start = time.perf_counter()
    for name in names or list(variants):
        for shape in SHAPES:
            model, images = fresh(name, shape)
            row = {method: outcome(model, images, method) for method in methods}
            table[f"{name} {'×'.join(map(str, shape))}"] = row
            said = {method: cell for method, cell in row.items() if cell != "map"}
            print(f"{time.perf_counter() - start:7.0f} s  {name} {shape}  {said or 'all maps'}", flush=True)
    cells = Counter(cell.partition(":")[0] for row in table.values() for cell in row.values())
    failed = {
        f"{name}, {m}": cell for name, row in table.items() for m, cell in row.items() if "failed" in cell
    }
    print(dict(cells), failed)
    if names:
        return
    headline = {
        "what": f"{len(variants)} networks × {len(methods)} methods, 28×28×1 and 64×64×3",
        "measured": f"{cells['map']:,} cells with maps, {cells['refused']} refused in words, "
        f"{cells['failed']} failed",
        "reach": "no crash, no NaN",
    }
    record("every_explanation", {"table": table, "cells": dict(cells), "headline": [headline]})
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"})
    main(sys.argv[1:])
