"""Grad-CAM on a batch of 64 beside the pytorch-grad-cam package, in turns, in one run, one thread each.

    python benchmarks/grad_cam_rate.py      # some minutes; benchmarks/results/grad_cam_rate.json

Both get the same network in float32, the same layer, the same normalised images and the same classes, and
give maps N×H×W of the image's size; ours starts from uint8 and normalises, so that its time holds more. The
images are random bytes, since no rate depends on what they show. A ratio is the median over the rounds of
theirs through ours. The second ratio is for the predicted class: theirs takes it from the same pass, ours
asks the network first, in a pass of its own.
"""

from __future__ import annotations

import copy
import os
import statistics
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch

from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.attribute import explain_images
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.methods import methods
from convscope.explanation.pytorch.capture import find_module
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.torchvision_cpu import allow_torchvision
from convscope.models.pytorch.zoo import create
from record import record

BATCH, ROUNDS, REACH = 64, 5, 2
NETWORKS = (
    ("small_cnn", (1, 28, 28)),
    ("resnet20", (3, 32, 32)),
    ("resnet18", (3, 64, 64)),
    ("resnet18", (3, 224, 224)),
)
Work = Callable[[], np.ndarray]


def works(name: str, shape: tuple[int, int, int]) -> dict[str, Work]:
    """Ours and theirs, for a class that is given and for the predicted one."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    torch.manual_seed(0)
    channels, height, width = shape
    preprocess = Preprocess(channels, height, width)
    network = create(name, input_shape=shape, classes=10)
    theirs = copy.deepcopy(network).eval()
    model = ExplainedModel.of(TorchPredictor(network, preprocess, tuple("abcdefghij")))
    method = GradCAM(theirs, [find_module(theirs, model.shown_layer)])
    images = np.random.default_rng(0).integers(0, 256, (BATCH, height, width, channels), np.uint8)
    x = torch.from_numpy(preprocess.normalise(images))
    targets = np.arange(BATCH) % 10
    chosen = [ClassifierOutputTarget(int(k)) for k in targets]
    ours = methods["grad_cam"]
    return {
        "ours_given": lambda: explain_images(model, images, ours, targets=targets).heat_maps,
        "theirs_given": lambda: method(x, chosen),
        "ours_predicted": lambda: explain_images(model, images, ours).heat_maps,
        "theirs_predicted": lambda: method(x, None),
    }


def seconds(work: Work) -> float:
    """Of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compared(name: str, shape: tuple[int, int, int]) -> dict[str, object]:
    """Rates and ratios of one network, after a round that does not count and that proves the maps to be the
    same.
    """
    both = works(name, shape)
    maps = {which: work() for which, work in both.items()}
    for which in ("given", "predicted"):
        ours, theirs = maps[f"ours_{which}"], maps[f"theirs_{which}"]
        ours = ours - ours.min(axis=(1, 2), keepdims=True)
        ours = ours / (ours.max(axis=(1, 2), keepdims=True) + 1e-7)  # as theirs are
        assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 0.01, (name, which)
    times = [{which: seconds(work) for which, work in both.items()} for _ in range(ROUNDS)]
    ratios = {
        which: statistics.median(row[f"theirs_{which}"] / row[f"ours_{which}"] for row in times)
        for which in ("given", "predicted")
    }
    return {
        "network": name,
        "images": "×".join(map(str, shape)),
        **{
            f"{which}_images_per_second": round(BATCH / statistics.median(r[which] for r in times), 1)
            for which in both
        },
        **{f"ratio_{which}": round(ratio, 2) for which, ratio in ratios.items()},
    }


def main() -> None:
    """Each network, then the results."""
    rows = []
    for name, shape in NETWORKS:
        rows.append(compared(name, shape))
        print(rows[-1], flush=True)
    given = ", ".join(f"{row['ratio_given']:.1f} × ({row['network']}, {row['images']})" for row in rows)
    headline = {
        "what": "Grad-CAM on a batch of 64 beside pytorch-grad-cam, classes given, one thread",
        "measured": given,
        "reach": f"≥ {REACH} ×",
    }
    record(
        "grad_cam_rate", {"batch": BATCH, "theirs": version("grad-cam"), "rows": rows, "headline": [headline]}
    )


if __name__ == "__main__":
    if os.environ.get("OMP_NUM_THREADS") != "1":
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "OMP_NUM_THREADS": "1"})
    allow_torchvision()
    main()
