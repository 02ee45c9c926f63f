"""What a benchmark measures of a finished run beside its accuracy: work per image, and throughput."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convscope.core.batch_size import max_batch_size
from convscope.core.bundle import Bundle
from convscope.core.config import RunConfig
from convscope.core.contracts import Predictor
from convscope.core.run.progress import Observer, Silent
from convscope.data.prepare_data import split_once
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import Source
from convscope.experiments.compare import MeanStd
from convscope.models.engine import open_network
from convscope.models.references import is_custom_model
from convscope.training.engine import training_engine

# Five calls of 1 ms could all fall into one pause of the system; half a second holds 500 of them.
REPEATS, SECONDS = 5, 0.5


def measure(folder: Path, config: RunConfig, source: Source, *, observer: Observer) -> dict[str, MeanStd]:
    """The work for an image, and the throughput on a batch of test images, of a finished run.

    Args:
        folder: of the run.
        config: of the run.
        source: its data.
        observer: is told how far the test images are.

    Returns:
        MACs by "macs" and images a second by "throughput", with the threads that `conditions` set.
    """
    bundle = Bundle.load(folder)
    name = config.model.name or ""
    # A bundle holds no code: that of a custom model is read from its file again.
    engine, network = open_network(bundle, name if is_custom_model(name) else None)
    preprocess = Preprocess.from_dict(bundle.preprocess)
    splits = split_once(
        source, config.data, seed=config.seed, folder=folder, progress=observer.progress, say=observer.say
    )
    test = prepare_split(splits.open_test(), preprocess, what="decode test", progress=observer.progress)
    # One batch of the size that evaluation takes: smaller ones measure the overhead of a call.
    images = test.take(np.arange(min(len(test), max_batch_size(*preprocess.shape[:2]))))
    predictor = engine.predictor(network, preprocess, bundle.classes, device=config.train.device)
    macs = engine.summarise(network).macs
    return {"macs": MeanStd.of([macs]), "throughput": MeanStd.of([measure_throughput(predictor, images)])}


def conditions(config: RunConfig, height: int, width: int) -> dict[str, Any]:
    """Set threads, and say under which conditions `measure` finds the throughput.

    Args:
        config: names engine, device and threads.
        height: of the images, in pixels.
        width: of the images, in pixels.
    """
    # Choosing them sets the threads as well, as every training does.
    environment = training_engine(config.engine).environment(config, Silent())
    return {
        "batch": max_batch_size(height, width),
        "device": environment["device"],
        # Whatever the precision of training: predictions are always made in float32.
        "precision": "float32",
        "threads": environment.get("threads", 1),
    }


def measure_throughput(
    predictor: Predictor, images: NDArray[np.uint8], *, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Images a second: N by the median time of a `predict` call for N prepared images.

    Normalisation is within it, decoding is not. The first call prepares kernels and memory, and does not
    count. At least 5 calls and half a second of them follow; the median leaves out what else the machine did.

    Args:
        predictor: a network of any form.
        images: uint8 N×H×W×C.
        clock: gives seconds.

    >>> class Constant:
    ...     classes = ("a", "b")
    ...     def predict(self, images):
    ...         return np.zeros((len(images), 2), np.float32)
    >>> ticks = iter(range(100))
    >>> measure_throughput(Constant(), np.zeros((8, 4, 4, 1), np.uint8), clock=lambda: next(ticks))
    8.0
    """
    predictor.predict(images)
    times: list[float] = []
    # No synchronisation is needed: NumPy logits exist only when the GPU has finished.
    while len(times) < REPEATS or sum(times) < SECONDS:
        start = clock()
        predictor.predict(images)
        # A clock may be too coarse for one call, and then shows 0.
        times.append(max(clock() - start, 1e-9))
    return len(images) / statistics.median(times)
