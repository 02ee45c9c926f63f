"""The training loop in PyTorch, to be read from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.core.resolved_config import ResolvedTrain
from convscope.core.run.history import History
from convscope.core.run.progress import Observer
from convscope.core.seeds import derive
from convscope.data.pytorch.loader import Loader
from convscope.models.pytorch.network import forward_with_aux
from convscope.tasks.task import Score
from convscope.training.engine import Status
from convscope.training.interrupt import Interrupt
from convscope.training.pytorch.checkpoint import Progress, State, save_checkpoint
from convscope.training.pytorch.meter import Meter, diverged, gradient_norms
from convscope.training.pytorch.tensorboard import TensorBoard
from convscope.training.schedule import multiplier

# What the loss of an auxiliary head counts beside that of the network (Szegedy et al. 2014, section 5).
AUXILIARY = 0.3


class Loss(Protocol):
    """What training makes small: the loss of a task in PyTorch.

    `sampling`: the probability with which each of N training images is drawn, None for all alike.
    """

    sampling: NDArray[np.float64] | None

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a float32 scalar, for logits N×… and targets as they are, or mixable."""

    def score(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The sum of the task's score over the images of a batch."""

    def mixable(self, targets: Tensor) -> Tensor:
        """Targets as floats N×K, of which a weighted mean has a meaning, such as one-hot classes."""


@dataclass(frozen=True)
class Job:
    """What the loop is given.

    `prepare(epoch)` puts the network into training mode, and freezes what is not to be trained in that epoch.
    `validate()`: the loss and the score of the network on validation, by name. `predict_validation()`: its
    logits N×… there.
    """

    config: ResolvedTrain
    seed: int
    loader: Loader
    loss: Loss
    score: Score
    prepare: Callable[[int], object]
    validate: Callable[[], Mapping[str, float]]
    predict_validation: Callable[[], NDArray[np.float32]]
    autocast: Callable[[], AbstractContextManager[Any]]
    folder: Path
    observer: Observer


def fit(job: Job, state: State, interrupt: Interrupt) -> Status:
    """Train `state.network` from where `state.progress` stands.

    On return `state.best` holds the weights of the best validation score.

    Args:
        job: what to train on, and how.
        state: moves with every step; a checkpoint holds all of it.
        interrupt: once it is asked, training ends with the update under way.

    Returns:
        "finished", "early" for a run that lost its patience, or "interrupted".

    Raises:
        DivergedError: the loss is NaN or infinite; the last checkpoint is then that of a sound epoch.
    """
    config, network, progress = job.config, state.network, state.progress
    batches = len(job.loader)
    record = _Record(job, progress.epoch)
    meter = Meter(config, progress, job.observer, score=job.score.name, batches=batches)

    while progress.epoch < config.epochs and not out_of_patience(config, progress):
        job.prepare(progress.epoch)
        meter.start_epoch()

        for x, targets in job.loader.epoch(progress.epoch, start=progress.batch):
            # Dropout, too, is a function of the step: a run that goes on draws what a killed one would have.
            step = progress.epoch * batches + progress.batch
            torch.manual_seed(derive(job.seed, "step", step))

            lr = set_rate(state, config, batches)
            position = progress.batch % config.accumulate  # in the group of batches that make one update
            group = min(
                config.accumulate, batches - progress.batch + position
            )  # an epoch may cut the last short
            if position == 0:
                state.optimizer.zero_grad(set_to_none=True)
            with job.autocast():
                logits, auxiliary = forward_with_aux(network, x)
            # Outside autocast: a loss is computed in float32, whatever the network computes in.
            loss = loss_with_aux(job.loss, logits, targets, auxiliary=auxiliary)
            state.scaler.scale(loss / group).backward()  # type: ignore[no-untyped-call]

            whole = position + 1 == group
            if whole:
                update_weights(state, config)

            meter.add(loss, job.loss.score(logits, targets), images=len(logits), lr=lr)
            # Between updates there are gradients, which a checkpoint does not hold.
            if whole and progress.batch < batches and (interrupt.asked or meter.checkpoint_due()):
                meter.read_pending()
                save_checkpoint(job.folder, state)
                if interrupt.asked:
                    return "interrupted"

        meter.read_pending()
        row = meter.row() | validate_epoch(job, state)
        if config.gradient_norms:
            row["gradient_norms"] = gradient_norms(network)
        # The row goes before the checkpoint: after a kill between the two the epoch is trained again, and its
        # row written anew. The other way round it would be lost.
        record.write(row)
        meter.next_epoch()
        save_checkpoint(job.folder, state)
        if interrupt.asked and progress.epoch < config.epochs:
            return "interrupted"

    return "finished" if progress.epoch >= config.epochs else "early"


def loss_with_aux(loss: Loss, logits: Tensor, targets: Tensor, *, auxiliary: Sequence[Tensor]) -> Tensor:
    """The mean loss of a batch, with that of the auxiliary heads where the network has some.

    Args:
        loss: of the task.
        logits: of the network, N×….
        targets: of the N images.
        auxiliary: logits of each auxiliary head, N×….
    """
    total = loss(logits, targets)
    for extra in auxiliary:
        total = total + AUXILIARY * loss(extra, targets)
    return total


def out_of_patience(config: ResolvedTrain, progress: Progress) -> bool:
    """True when `patience` epochs in a row brought no better validation score."""
    return bool(config.patience) and progress.epoch - progress.best_epoch >= config.patience


def set_rate(state: State, config: ResolvedTrain, batches: int) -> float:
    """Set and return the learning rate of the update under way: the peak times the schedule's multiplier."""
    updates = -(-batches // config.accumulate)  # rounded up: the last group of an epoch may be short
    total = config.epochs * updates
    done = state.progress.epoch * updates + state.progress.batch // config.accumulate
    lr = config.lr * multiplier(
        config.schedule,
        done,
        total,
        warmup=round(config.warmup * total),
        losses=state.progress.losses,
        milestones=config.milestones,
        drop=config.drop,
        patience=config.plateau_patience,
    )
    for group in state.optimizer.param_groups:
        group["lr"] = lr * group["scale"]
    return lr


def update_weights(state: State, config: ResolvedTrain) -> None:
    """One step of the optimiser, with the gradient clipped where asked, and of the averaged weights."""
    state.scaler.unscale_(state.optimizer)  # clipping needs gradients of their true length
    if config.clip:
        nn.utils.clip_grad_norm_(state.network.parameters(), config.clip)
    state.scaler.step(state.optimizer)
    state.scaler.update()
    if state.ema:
        state.ema.update(state.network)


def validate_epoch(job: Job, state: State) -> dict[str, Any]:
    """Validate, with averaged weights where there are some, and keep the weights that are the best yet.

    Raises DivergedError when the validation loss is NaN: the last step of the epoch broke the weights.
    """
    progress = state.progress
    with state.ema.swapped(state.network) if state.ema else nullcontext():
        figures = job.validate()
        loss, score = figures["loss"], figures[job.score.name]
        if not math.isfinite(loss):
            where = f"after step {(progress.epoch + 1) * len(job.loader)} (epoch {progress.epoch + 1})"
            raise diverged(f"the validation loss became {loss} {where}", job.config)
        better = job.score.better(score, progress.best_score)
        if better:
            state.best = {name: value.detach().clone() for name, value in state.network.state_dict().items()}
            progress.best_score, progress.best_epoch = score, progress.epoch + 1
    progress.losses.append(loss)  # what the schedule "plateau" goes by
    return {"validation_loss": loss, f"validation_{job.score.name}": score, "best": better}


class _Record:
    """Where the row of an epoch goes: the history file, the observer and, where asked for, TensorBoard."""

    def __init__(self, job: Job, epoch: int) -> None:
        self.observer, self.epochs = job.observer, job.config.epochs
        self.history = History(job.folder / "history.jsonl")
        self.history.truncate(epoch + 1)  # a kill may have come after a row and before its checkpoint
        self.board = (
            TensorBoard(job.folder / "tensorboard", epoch=epoch + 1) if job.config.tensorboard else None
        )

    def write(self, row: dict[str, Any]) -> None:
        self.history.append(row)
        self.observer.epoch(row, self.epochs)
        if self.board:
            self.board.write(row)
