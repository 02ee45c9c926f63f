"""The training loop in PyTorch, to be read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from convscope.core.config import SettledTrain
from convscope.core.run.display import Display
from convscope.core.run.history import History
from convscope.core.seeds import derive
from convscope.data.pytorch.loader import Loader
from convscope.models.pytorch.network import forward_with_aux
from convscope.tasks.classification.pytorch.losses import Loss
from convscope.training.interrupt import Interrupt
from convscope.training.pytorch.checkpoint import Progress, State, save_checkpoint
from convscope.training.pytorch.meter import Meter, diverged, gradient_norms
from convscope.training.pytorch.tensorboard import TensorBoard
from convscope.training.schedule import multiplier

AUXILIARY = 0.3
"""What the loss of an auxiliary head counts beside that of the network (Szegedy et al. 2014, section 5)."""

Status = Literal["finished", "early", "interrupted"]


@dataclass(frozen=True)
class Job:
    """What the loop is given.

    `prepare(epoch)` puts the network into training mode, and freezes what is not to be trained in that epoch.
    `validate()`: mean loss and accuracy of the network on validation.
    """

    config: SettledTrain
    seed: int
    loader: Loader
    loss: Loss
    prepare: Callable[[int], object]
    validate: Callable[[], tuple[float, float]]
    autocast: Callable[[], AbstractContextManager[Any]]
    folder: Path
    display: Display


def fit(job: Job, state: State, interrupt: Interrupt) -> Status:
    """Train `state.network` from where `state.progress` stands, and say how it ended.

    On return `state.best` holds the weights of the best validation accuracy. Raises DivergedError, naming the
    step, when the loss is not a number; the last checkpoint is then still that of a sound epoch.
    """
    config, network, progress = job.config, state.network, state.progress
    batches = len(job.loader)
    record = _Record(job, progress.epoch)
    meter = Meter(config, progress, job.display, batches)

    while progress.epoch < config.epochs and not out_of_patience(config, progress):
        job.prepare(progress.epoch)
        meter.start_epoch()

        for x, targets in job.loader.epoch(progress.epoch, start=progress.batch):
            step = progress.epoch * batches + progress.batch
            torch.manual_seed(derive(job.seed, "step", step))  # dropout, too, is a function of the step

            lr = set_rate(state, config, batches)
            place = progress.batch % config.accumulate  # in the group of batches that make one update
            group = min(config.accumulate, batches - progress.batch + place)
            if place == 0:
                state.optimizer.zero_grad(set_to_none=True)
            with job.autocast():
                logits, auxiliary = forward_with_aux(network, x)
            loss = job.loss(logits, targets)
            for extra in auxiliary:
                loss = loss + AUXILIARY * job.loss(extra, targets)
            state.scaler.scale(loss / group).backward()  # type: ignore[no-untyped-call]

            whole = place + 1 == group
            if whole:
                update_weights(state, config)

            meter.add(loss, logits, targets, lr=lr)
            if whole and progress.batch < batches and (interrupt.asked or meter.checkpoint_due()):
                meter.settle()
                save_checkpoint(job.folder, state)
                if interrupt.asked:
                    return "interrupted"

        meter.settle()
        row = meter.row() | validate_epoch(job, state)
        if config.gradient_norms:
            row["gradient_norms"] = gradient_norms(network)
        record.write(row)
        meter.next_epoch()
        save_checkpoint(job.folder, state)
        if interrupt.asked and progress.epoch < config.epochs:
            return "interrupted"

    return "finished" if progress.epoch >= config.epochs else "early"


def out_of_patience(config: SettledTrain, progress: Progress) -> bool:
    """True when `patience` epochs in a row brought no better validation accuracy."""
    return bool(config.patience) and progress.epoch - progress.best_epoch >= config.patience


def set_rate(state: State, config: SettledTrain, batches: int) -> float:
    """Set and return the learning rate of the update under way: the peak times the schedule's multiplier."""
    updates = -(-batches // config.accumulate)
    total = config.epochs * updates
    done = state.progress.epoch * updates + state.progress.batch // config.accumulate
    warmup = round(config.warmup * total)
    lr = config.lr * multiplier(config.schedule, done, total, warmup=warmup, losses=state.progress.losses)
    for group in state.optimizer.param_groups:
        group["lr"] = lr * group["scale"]
    return lr


def update_weights(state: State, config: SettledTrain) -> None:
    """One step of the optimiser, with the gradient clipped where asked, and of the averaged weights."""
    state.scaler.unscale_(state.optimizer)
    if config.clip:
        nn.utils.clip_grad_norm_(state.network.parameters(), config.clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    if state.ema:
        state.ema.update(state.network)


def validate_epoch(job: Job, state: State) -> dict[str, Any]:
    """Validate, with the averaged weights where there are some, and keep the weights when they are the best
    yet.

    Raises DivergedError when the validation loss is not a number: the last step of the epoch broke the
    weights.
    """
    progress = state.progress
    with state.ema.swapped(state.network) if state.ema else nullcontext():
        loss, accuracy = job.validate()
        if not math.isfinite(loss):
            place = f"after step {(progress.epoch + 1) * len(job.loader)} (epoch {progress.epoch + 1})"
            raise diverged(f"the validation loss became {loss} {place}", job.config)
        better = accuracy > progress.best_score
        if better:
            state.best = {name: value.detach().clone() for name, value in state.network.state_dict().items()}
            progress.best_score, progress.best_epoch = accuracy, progress.epoch + 1
    progress.losses.append(loss)
    return {"validation_loss": loss, "validation_accuracy": accuracy, "best": better}


class _Record:
    """Where the row of an epoch goes: the history file, the display and, where asked for, TensorBoard."""

    def __init__(self, job: Job, epoch: int) -> None:
        self.display, self.epochs = job.display, job.config.epochs
        self.history = History(job.folder / "history.jsonl")
        self.history.truncate(epoch + 1)
        self.board = (
            TensorBoard(job.folder / "tensorboard", epoch=epoch + 1) if job.config.tensorboard else None
        )

    def write(self, row: dict[str, Any]) -> None:
        self.history.append(row)
        self.display.epoch(row, self.epochs)
        if self.board:
            self.board.write(row)
