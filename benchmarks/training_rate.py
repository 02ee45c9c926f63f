"""Images a second in training: Convscope's loop beside the usual one, in turns, in one run.

    python benchmarks/training_rate.py

Both train small_cnn on 3×32×32 images with batch 128, flip and padded crop, SGD with Nesterov momentum. The
usual loop is what tutorials write: torchvision transforms an image at a time in a DataLoader with 2 workers,
float32, the textbook order conv-BN-ReLU-pool. Each loop runs in processes of its own, so that neither profits
from settings of the other. The images are random bytes, since no rate depends on what they show.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from convscope.cli import STARTED_WITH
from convscope.core.config import RunConfig
from convscope.core.run.history import read_history
from convscope.core.run.progress import Silent
from convscope.data.dataset import ArrayDataset
from convscope.data.prepare_data import PreparedData
from convscope.data.preparing.prepared_split import prepare_split
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.source import open_source
from convscope.models.pytorch.torchvision_cpu import import_torchvision
from convscope.models.variants.registry import variants
from convscope.tasks.task import task_named
from convscope.training.engine import Initialisation, Plan, training_engine
from convscope.training.interrupt import Interrupt
from convscope.training.resolve import ImageSample, resolve
from record import record

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
OURS, USUAL, ROUNDS, BATCH = 47_500, 12_800, 5, 128  # ours: the epoch of CIFAR-10 less its validation images


def random_set(count: int) -> ArrayDataset:
    """`count` images of random bytes in ten classes."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 32, 32, 3), np.uint8)
    return ArrayDataset(images, np.arange(count) % 10, tuple("abcdefghij"), "train")


def ours(images: ArrayDataset) -> float:
    """Images a second of one epoch, as `convscope train` reports it: validation and files are left out."""
    asked = RunConfig.from_dict({"train": {"epochs": 1, "lr": 0.01, "batch_size": BATCH}})
    sample = ImageSample(len(images), frozenset({(32, 32)}), grey=False)
    source, spec = open_source("fashion_mnist"), variants["small_cnn"].spec
    config = resolve(asked, sample, Initialisation(), source=source, spec=spec)
    preprocess = Preprocess(3, 32, 32, "crop", MEAN, STD)
    train, tiny = (prepare_split(part, preprocess) for part in (images, random_set(64)))
    data = PreparedData(source, preprocess, train, tiny, lambda: tiny, images.classes)
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(
            config=config,
            task=task_named(config.task),
            data=data,
            spec=spec.with_changes(input_shape=config.input_shape, classes=10),
            initialisation=Initialisation(),
            folder=Path(folder),
            observer=Silent(),
        )
        training_engine(config.engine).start(plan).fit(Interrupt())
        return float(read_history(Path(folder) / "history.jsonl")[0]["images_per_second"])


class UsualSet(torch.utils.data.Dataset):
    """What torchvision.datasets.CIFAR10 does: a PIL image from an array, then the transform."""

    def __init__(self, images: ArrayDataset, transform: object) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image, label = self.images[index]
        return self.transform(Image.fromarray(image)), label


def textbook() -> nn.Module:
    """small_cnn in the order in which it is printed."""

    def block(i: int, o: int) -> list[nn.Module]:
        return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU(), nn.MaxPool2d(2)]

    head = [nn.Flatten(), nn.Linear(64 * 8 * 8, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10)]
    return nn.Sequential(*block(3, 32), *block(32, 64), *head)


def usual(images: ArrayDataset) -> float:
    """Images a second of one epoch of the usual loop, the start of its workers left out."""
    transforms = import_torchvision().transforms
    steps = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    steps += [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    loader = torch.utils.data.DataLoader(
        UsualSet(images, transforms.Compose(steps)), batch_size=BATCH, shuffle=True, num_workers=2
    )
    network = textbook()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss()
    seen, start, loss_sum = 0, 0.0, 0.0
    for x, y in loader:
        if not start:
            start = time.perf_counter()
            continue
        optimizer.zero_grad()
        loss = criterion(network(x), y)
        loss.backward()
        optimizer.step()
        loss_sum += loss.item() * len(y)
        seen += len(y)
    return seen / (time.perf_counter() - start)


def in_process(which: str) -> float:
    """One measurement in a fresh process; ours as `convscope train` starts it."""
    words = [sys.executable, __file__, which]
    environment = {**os.environ, **(STARTED_WITH if which == "ours" else {})}
    return float(subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout)


def main() -> None:
    """Measure in turns and write the medians."""
    rounds = [(in_process("ours"), in_process("usual")) for _ in range(ROUNDS)]
    for mine, theirs in rounds:
        print(f"ours {mine:8,.0f}   usual {theirs:8,.0f}   ratio {mine / theirs:.2f}")
    ours_median = statistics.median(mine for mine, _ in rounds)
    figures = {
        "ours_images_per_second": [round(mine) for mine, _ in rounds],
        "usual_images_per_second": [round(theirs) for _, theirs in rounds],
        "ratio": round(statistics.median(mine / theirs for mine, theirs in rounds), 2),
        "threads": torch.get_num_threads(),
    }
    figures["headline"] = [
        {
            "what": "training rate of `small_cnn`, CIFAR-10 size, batch 128, beside the usual loop",
            "measured": f"{figures['ratio']:.1f} × ({ours_median:,.0f} images/s), {figures['threads']} "
            f"threads",
            "reach": "≥ 4 ×",
        }
    ]
    print(f"median ratio {figures['ratio']}, {figures['threads']} threads")
    record("training_rate", figures)


if __name__ == "__main__":
    if sys.argv[1:] == ["ours"]:
        ours(random_set(1280))
        print(ours(random_set(OURS)))
    elif sys.argv[1:] == ["usual"]:
        print(usual(random_set(USUAL)))
    else:
        main()
