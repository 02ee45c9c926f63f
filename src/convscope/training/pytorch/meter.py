"""The figures of an epoch while it runs: loss, score, rate; and the watch that a loss is a number."""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from torch import Tensor, nn

from convscope.core.resolved_config import ResolvedTrain
from convscope.core.run.progress import Observer
from convscope.training.engine import DivergedError
from convscope.training.pytorch.checkpoint import Progress

# To read a number from a GPU waits for it: 16 at once cost nothing, and the step that failed is known.
STEPS_BETWEEN_READS = 16
SECONDS_BETWEEN_FRAMES = 0.25


class Meter:
    """Adds up an epoch in `progress`, so that a checkpoint within the epoch carries the sums.

    `score`: the name of the task's score. `batches`: batches in an epoch.
    """

    def __init__(
        self, config: ResolvedTrain, progress: Progress, observer: Observer, *, score: str, batches: int
    ) -> None:
        self.config, self.progress, self.observer = config, progress, observer
        self.score, self.batches = score, batches
        self.lr = 0.0
        self._pending: list[Tensor] = []
        self._resumed = self._clock = self._frame = self._saved = time.perf_counter()

    def start_epoch(self) -> None:
        """Start the clock of an epoch, or go on with it."""
        self._resumed = self._clock = time.perf_counter()

    def add(self, loss: Tensor, score: Tensor, *, images: int, lr: float) -> None:
        """Take in one batch and count it as done.

        Args:
            loss: the mean over its images.
            score: the sum over its images.
            images: how many there are.
            lr: the learning rate of its update.
        """
        self._pending.append(torch.stack([loss.detach().float(), score.detach().float()]))
        self.progress.batch += 1
        self.progress.seen += images
        self._images, self.lr = images, lr
        if loss.device.type == "cpu" or len(self._pending) >= STEPS_BETWEEN_READS:
            self.read_pending()
        self._show()

    def read_pending(self) -> None:
        """Read what is pending; raises DivergedError, naming the step, when a loss is NaN or infinite."""
        if not self._pending:
            return
        first = self.progress.batch - len(self._pending)
        rows = torch.stack(self._pending).tolist()
        self._pending.clear()
        for number, (loss, score) in enumerate(rows):
            if not math.isfinite(loss):
                raise self._diverged(loss, first + number)
            self.progress.loss_sum += loss * self._images  # all batches are full, those pending too
            self.progress.score_sum += score
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
            f"train_{self.score}": progress.score_sum / progress.seen,
            "lr": self.lr,
            "seconds": round(progress.epoch_seconds, 3),
            "images_per_second": round(progress.seen / max(progress.epoch_seconds, 1e-9), 1),
        }

    def next_epoch(self) -> None:
        """Empty the sums and step to the next epoch."""
        progress = self.progress
        progress.seconds += progress.epoch_seconds
        progress.epoch, progress.batch, progress.seen = progress.epoch + 1, 0, 0
        progress.loss_sum = progress.score_sum = progress.epoch_seconds = 0.0
        self._saved = time.perf_counter()

    def _show(self) -> None:
        now, progress = time.perf_counter(), self.progress
        if now - self._frame < SECONDS_BETWEEN_FRAMES:
            return
        self._frame = now
        # Images of which the figures have been read; the others are still on the device.
        read = max(1, progress.seen - len(self._pending) * self._images)
        figures = {
            "loss": progress.loss_sum / read,
            self.score: progress.score_sum / read,
            "rate": read / max(progress.epoch_seconds, 1e-9),
        }
        self.observer.step((progress.epoch, progress.batch), (self.config.epochs, self.batches), figures)

    def _diverged(self, loss: float, batch: int) -> DivergedError:
        step = self.progress.epoch * self.batches + batch + 1
        where = f"step {step} (epoch {self.progress.epoch + 1}, batch {batch + 1} of {self.batches})"
        return diverged(f"the loss became {loss} at {where} with learning rate {self.lr:.3g}", self.config)


def diverged(what: str, config: ResolvedTrain) -> DivergedError:
    """The error for a loss that is NaN or infinite, with what to do about it."""
    tenth = f"try a tenth: --set train.lr={config.lr / 10:.3g}"
    return DivergedError(f"{what}; {tenth}, or look for a good one: convscope train DATA --check lr")


def gradient_norms(network: nn.Module) -> dict[str, float]:
    """The L2 norm of each parameter's last gradient by name: near 0 it vanishes, far above 1 it explodes."""
    with_gradient = [(name, p.grad) for name, p in network.named_parameters() if p.grad is not None]
    return {name: float(gradient.norm()) for name, gradient in with_gradient}
