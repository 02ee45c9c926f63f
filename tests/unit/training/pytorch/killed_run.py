"""A program for the tests of the checkpoint: trains in children that kill themselves, and in one that goes
on.

Arguments: a data set and an empty folder. Each child is forked from a parent that has imported all that
training imports, since that takes longer than the training. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch

import small_data
from convscope.core import atomic
from convscope.core.config import RunConfig
from convscope.core.run.progress import Silent
from convscope.training import finalise
from convscope.training.pytorch import loop
from convscope.training.train import train_run
from no_drawing import undrawn

SETTINGS = {
    "model": {"name": "small_cnn", "options": {"widths": [4, 6], "hidden": 8}},
    "augment": {"policy": "basic", "mix": "mixup"},
    "train": {"epochs": 4, "ema": 0.9, "accumulate": 3, "checkpoint_seconds": 0.0},
}


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(module: object, name: str, count: int, *, after: bool = False) -> None:
    """Die in the `count`-th call of a function, before or after it does its work."""
    real: Callable[..., object] = getattr(module, name)
    calls = 0

    def counted(*arguments: object, **words: object) -> object:
        nonlocal calls
        calls += 1
        if calls == count and not after:
            die()
        result = real(*arguments, **words)
        if calls == count:
            die()
        return result

    setattr(module, name, counted)


MOMENTS = {
    "before the first checkpoint": lambda: at_call(loop, "update_weights", 1),
    "mid-epoch": lambda: at_call(loop, "update_weights", 4),
    "while a checkpoint is written": lambda: at_call(atomic.os, "fsync", 6),
    "between row and checkpoint": lambda: at_call(loop, "validate_epoch", 2, after=True),
    "with the bundle written": lambda: at_call(finalise.Bundle, "save", 1, after=True),
}


def child(work: Callable[[], object]) -> int:
    """Do `work` in a process of its own; how that ended."""
    number = os.fork()
    if number == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def main(data: str, place: str) -> None:
    undrawn()
    torch.optim.SGD([torch.zeros(1)]).step()  # the first step of a process imports the compiler: 2 s
    config = RunConfig.from_dict(small_data.settings()).merge({"data": {"source": data}}).merge(SETTINGS)

    def train(folder: Path, *, resume: bool = False) -> None:
        train_run(config, out=folder, resume=resume, observer=Silent())

    codes = {"": [child(lambda: train(Path(place) / "whole"))]}
    for number, (moment, arm) in enumerate(MOMENTS.items()):
        folder = Path(place) / str(number)

        def killed(arm: Callable[[], None] = arm, folder: Path = folder) -> None:
            arm()
            train(folder)

        codes[moment] = [child(killed), child(lambda folder=folder: train(folder, resume=True))]
    print(json.dumps(codes))


if __name__ == "__main__":
    main(*sys.argv[1:])
