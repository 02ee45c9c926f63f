"""What a finished run is measured by beside its accuracy: the work for an image, and how fast it answers."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.run.display import Display
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import Source
from convscope.experiments.compare import MeanStd
from convscope.experiments.throughput import measure_throughput
from convscope.models.pytorch.build import rebuild
from convscope.models.pytorch.custom_model import is_custom_model
from convscope.models.pytorch.device import choose_device, set_threads
from convscope.models.pytorch.predictor import TorchPredictor, max_batch_size
from convscope.models.pytorch.summary import summarise
from convscope.training.prepare_data import split_once


def measure(folder: Path, config: RunConfig, source: Source, *, display: Display) -> dict[str, MeanStd]:
    """macs, for an image, and throughput, on a batch of test images, of the finished run in `folder`.

    `config` is that of the run, settled; `source` its data. Threads are as `conditions` set them.
    """
    bundle = Bundle.load(folder)
    name = config.model.name or ""
    network = rebuild(bundle, name if is_custom_model(name) else None)
    preprocess = Preprocess.from_dict(bundle.preprocess)
    splits = split_once(source, config.data, seed=config.seed, folder=folder, display=display)
    test = prepare_split(splits.open_test(), preprocess, progress=partial(display.work, "decode test"))
    display.clear()
    images = test.take(np.arange(min(len(test), max_batch_size(*preprocess.shape[:2]))))
    macs = summarise(network).macs
    predictor = TorchPredictor(network, preprocess, bundle.classes, choose_device(config.train.device).device)
    return {"macs": MeanStd.of([macs]), "throughput": MeanStd.of([measure_throughput(predictor, images)])}


def conditions(config: RunConfig, height: int, width: int) -> dict[str, Any]:
    """Set the threads of `config`, and say under which conditions `measure` finds the answering rate for H×W
    images.
    """
    device, threads = choose_device(config.train.device).device, set_threads(config.train.threads)
    return {
        "batch": max_batch_size(height, width),
        "device": str(device),
        "precision": "float32",
        "threads": threads,
    }
