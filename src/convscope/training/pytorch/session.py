"""A training in PyTorch that can go on: its network, and the job and state of what is trained of it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convscope.core.seeds import derive
from convscope.data.pytorch.augmentation.policies import policy
from convscope.models.pytorch.network import Network, forward_with_aux
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.training.engine import Outcome, Plan, Status
from convscope.training.interrupt import Interrupt
from convscope.training.pytorch.checkpoint import State
from convscope.training.pytorch.loop import Job, fit, update_weights

MEMORISED_IMAGES = 32  # few enough for any network that can learn at all


@dataclass(frozen=True, eq=False)
class TorchSession:
    """A `TrainingSession`. `state.network` is `network`, or its head alone where the rest is not trained."""

    plan: Plan
    network: Network
    job: Job
    state: State

    def fit(self, interrupt: Interrupt) -> Status:
        """Train to the end, or until `interrupt` is asked; errors are those of the loop."""
        return fit(self.job, self.state, interrupt)

    def outcome(self) -> Outcome:
        """What was reached so far."""
        progress, best = self.state.progress, self.best_weights()
        arrays = {name: value.detach().contiguous().cpu().numpy() for name, value in best.items()}
        return Outcome(
            weights=arrays or None,
            model=self.network.spec.to_dict(),
            # Auxiliary heads help in training alone, and nobody counts them.
            parameters=sum(parameter.numel() for parameter in self.network.pipeline.parameters()),
            epochs=progress.epoch,
            best_epoch=progress.best_epoch,
            seconds=progress.seconds,
            environment=progress.environment,
        )

    def best_weights(self) -> dict[str, Tensor]:
        """The best weights of the whole network by name; none before the first epoch is over."""
        best = self.state.best
        # Of a probe the state holds the head alone; the body is what it was.
        if self.state.network is self.network or not best:
            return best
        whole = {name: value.detach().clone() for name, value in self.network.state_dict().items()}
        return whole | {f"head.{name}": value for name, value in best.items()}

    def predictor(self) -> TorchPredictor:
        """The network with its best weights; training cannot go on afterwards."""
        self.network.load_state_dict(self.best_weights())
        device = next(self.network.parameters()).device
        return TorchPredictor(self.network, self.plan.data.preprocess, self.plan.data.names, device)

    def predict_validation(self) -> NDArray[np.float32]:
        """Logits of the last weights, averaged where training averages them, for the validation images."""
        ema = self.state.ema
        with ema.swapped(self.state.network) if ema else nullcontext():
            return self.job.predict_validation()

    def trial(self, rate: float, batch: int | None = None) -> float:
        """The loss of a batch before one update on it, as in `TrainingSession`."""
        job, state = self.job, self.state
        x, targets = self._plain_batch() if batch is None else self._training_batch(batch)
        job.prepare(0)
        # Dropout draws the same in every trial, so that losses are compared and not luck.
        torch.manual_seed(derive(job.seed, "check"))
        for group in state.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        state.optimizer.zero_grad(set_to_none=True)
        # Without the auxiliary heads: the question is whether the network itself learns.
        with job.autocast():
            logits, _ = forward_with_aux(state.network, x)
        loss = job.loss(logits, targets)
        state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        update_weights(state, job.config)
        return float(loss.detach())

    def _training_batch(self, number: int) -> tuple[Tensor, Tensor]:
        epoch, batch = divmod(number, len(self.job.loader))
        return next(self.job.loader.epoch(epoch, start=batch))

    def _plain_batch(self) -> tuple[Tensor, Tensor]:
        """The first images of the loader's first epoch, as they are."""
        loader = replace(self.job.loader, augment=policy("none"), mix=None)
        indices = loader.order(0)[: min(MEMORISED_IMAGES, loader.batch_size)]
        return loader.batch(indices, 0, 0)
