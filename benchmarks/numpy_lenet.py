"""LeNet-5 in NumPy alone on the bundled Fashion-MNIST: test accuracy and seconds of training, over three
seeds.

    python benchmarks/numpy_lenet.py

float32, eight epochs in batches of 64, SGD with Nesterov momentum 0.9 and weight decay 5e-4; the rate rises
to 0.05 over 500 steps and falls in a straight line to 0. The test split is looked at once, at the end of each
run.
"""

from __future__ import annotations

import statistics
from functools import partial

import numpy as np
from numpy.typing import NDArray

from convscope.data.dataset import ArrayDataset
from convscope.data.preparing.prepared_split import channel_statistics
from convscope.data.source import open_source
from convscope.reference.lenet import lenet5
from convscope.reference.training.optimizers import sgd
from record import record, threads

SEEDS, EPOCHS, BATCH, PEAK, WARMUP = 3, 8, 64, 0.05, 500


def split(name: str) -> ArrayDataset:
    """One split of the bundled set, in memory."""
    images = open_source("fashion_mnist").open(name)
    assert isinstance(images, ArrayDataset)
    return images


def scaled(images: NDArray[np.uint8], mean: float, deviation: float) -> NDArray[np.float32]:
    """Bytes N×H×W×1 as N×1×H×W of mean 0 and deviation 1."""
    return ((images.transpose(0, 3, 1, 2) / np.float32(255) - mean) / deviation).astype(np.float32)


def train(seed: int) -> tuple[float, float]:
    """Test accuracy and seconds of training of one seed."""
    learn, test = split("train"), split("test")
    (mean,), (deviation,) = channel_statistics(learn.images)
    total = EPOCHS * (len(learn) // BATCH)
    net = lenet5(seed=seed)
    history = net.fit(
        scaled(learn.images, mean, deviation),
        learn.labels,
        epochs=EPOCHS,
        batch_size=BATCH,
        rate=lambda step: PEAK * min((step + 1) / WARMUP, 1) * (1 - step / total),
        optimizer=partial(sgd, momentum=0.9, nesterov=True, weight_decay=5e-4),
        seed=seed,
        on_epoch=print,
    )
    answers = net.predict(scaled(test.images, mean, deviation)).argmax(axis=1)
    return float((answers == test.labels).mean()), sum(epoch.seconds for epoch in history)


def main() -> None:
    """Train the seeds and write what came out."""
    accuracy, seconds = zip(*(train(seed) for seed in range(SEEDS)), strict=True)
    mean, deviation = statistics.fmean(accuracy), statistics.stdev(accuracy)
    times = f"{min(seconds):.0f}–{max(seconds):.0f} s of training a seed, {threads()} threads"
    headline = {
        "what": f"LeNet-5 in NumPy alone, bundled Fashion-MNIST, {EPOCHS} epochs",
        "measured": f"{mean:.2%} ± {deviation:.2%} (n = {SEEDS}), {times}",
        "reach": "≥ 88 % in ≤ 5 minutes",
    }
    print(headline)
    record("numpy_lenet", {"accuracy": accuracy, "seconds": seconds, "headline": [headline]})


if __name__ == "__main__":
    main()
