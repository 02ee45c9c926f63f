"""The figures of an epoch while it runs: loss, accuracy, rate; and the watch that a loss is a number."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from convscope.core.config import SettledTrain
from convscope.core.errors import Failure
from convscope.core.run.display import Display
from convscope.training.pytorch.checkpoint import Progress

# MethodResult a number from a GPU waits for it; 16 steps at once cost nothing, and the step that failed is
# still known.
STEPS_BETWEEN_READS = 16
SECONDS_BETWEEN_FRAMES = 0.25


class DivergedError(Failure):
    """The loss became NaN or infinite."""


class Meter:
    """Adds up an epoch in `progress`, so that a checkpoint within the epoch carries the sums.

    `batches`: batches in an epoch.
    """

    def __init__(self, config: SettledTrain, progress: Progress, display: Display, batches: int) -> None:
        self.config, self.progress, self.display, self.batches = config, progress, display, batches
        self.lr = 0.0
        self._pending: list[Tensor] = []
        self._resumed = self._clock = self._frame = self._saved = time.perf_counter()

    def start_epoch(self) -> None:
        """Start the clock of an epoch, or go on with it."""
        self._resumed = self._clock = time.perf_counter()

    def add(self, loss: Tensor, logits: Tensor, targets: Tensor, *, lr: float) -> None:
        """Take in one batch: its mean loss, logits N×K and targets N or N×K. Counts the batch as done."""
        truth = targets if targets.ndim == 1 else targets.argmax(dim=1)
        correct = (logits.detach().argmax(dim=1) == truth).sum()
        self._pending.append(torch.stack([loss.detach().float(), correct.float()]))
        self.progress.batch += 1
        self.progress.seen += len(logits)
        self._size, self.lr = len(logits), lr
        if loss.device.type == "cpu" or len(self._pending) >= STEPS_BETWEEN_READS:
            self.settle()
        self._show()

    def settle(self) -> None:
        """Read what is pending; raises DivergedError, naming the step, when a loss is not a number."""
        if not self._pending:
            return
        first = self.progress.batch - len(self._pending)
        rows = torch.stack(self._pending).tolist()
        self._pending.clear()
        for number, (loss, correct) in enumerate(rows):
            if not math.isfinite(loss):
                raise self._diverged(loss, first + number)
            self.progress.loss_sum += loss * self._size
            self.progress.correct += correct
        now = time.perf_counter()
        self.progress.epoch_seconds += now - self._clock
        self._clock = now

    def checkpoint_due(self) -> bool:
        """True once in every `checkpoint_seconds`; at 0 after every step."""
        due = time.perf_counter() - self._saved >= self.config.checkpoint_seconds
        if due:
            self._saved = time.perf_counter()
        return due

    def row(self) -> dict[str, Any]:
        """The training figures of the epoch that ends; the learning rate is that of its last step."""
        progress = self.progress
        return {
            "epoch": progress.epoch + 1,
            "train_loss": progress.loss_sum / progress.seen,
            "train_accuracy": progress.correct / progress.seen,
            "lr": self.lr,
            "seconds": round(progress.epoch_seconds, 3),
            "images_per_second": round(progress.seen / max(progress.epoch_seconds, 1e-9), 1),
        }

    def next_epoch(self) -> None:
        """Empty the sums and step to the next epoch."""
        progress = self.progress
        progress.seconds += progress.epoch_seconds
        progress.epoch, progress.batch, progress.seen = progress.epoch + 1, 0, 0
        progress.loss_sum = progress.correct = progress.epoch_seconds = 0.0
        self._saved = time.perf_counter()

    def _show(self) -> None:
        now, progress = time.perf_counter(), self.progress
        if now - self._frame < SECONDS_BETWEEN_FRAMES:
            return
        self._frame = now
        settled = max(1, progress.seen - len(self._pending) * self._size)
        figures = {
            "loss": progress.loss_sum / settled,
            "accuracy": progress.correct / settled,
            "rate": settled / max(progress.epoch_seconds, 1e-9),
        }
        self.display.step((progress.epoch, progress.batch), (self.config.epochs, self.batches), figures)

    def _diverged(self, loss: float, batch: int) -> DivergedError:
        step = self.progress.epoch * self.batches + batch + 1
        place = f"step {step} (epoch {self.progress.epoch + 1}, batch {batch + 1} of {self.batches})"
        return diverged(f"the loss became {loss} at {place} with learning rate {self.lr:.3g}", self.config)


def diverged(what: str, config: SettledTrain) -> DivergedError:
    """The error for a loss that is not a number, with what to do about it."""
    remedy = f"try a tenth: --set train.lr={config.lr / 10:.3g}, or look for a good one: convscope train DATA --check lr"
    return DivergedError(f"{what}; {remedy}")


def gradient_norms(network: nn.Module) -> dict[str, float]:
    """The L2 norm of the last gradient of every parameter by name: near 0 it vanishes, far above 1 it
    explodes.
    """
    with_gradient = [(name, p.grad) for name, p in network.named_parameters() if p.grad is not None]
    return {name: float(gradient.norm()) for name, gradient in with_gradient}
