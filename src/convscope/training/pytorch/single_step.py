"""One training step by hand, for checks that are not a training."""

from __future__ import annotations

import torch
from torch import Tensor

from convscope.core.seeds import derive
from convscope.models.pytorch.network import forward_with_aux
from convscope.training.pytorch.checkpoint import State
from convscope.training.pytorch.loop import Job, update_weights


def take_step(job: Job, state: State, batch: tuple[Tensor, Tensor], *, rate: float) -> float:
    """One update with learning rate `rate` on a batch (images N×C×H×W, targets N or N×K); the loss before
    it.
    """
    x, targets = batch
    job.prepare(0)
    torch.manual_seed(derive(job.seed, "check"))
    for group in state.optimizer.param_groups:
        group["lr"] = rate * group["scale"]
    state.optimizer.zero_grad(set_to_none=True)
    with job.autocast():
        logits, _ = forward_with_aux(state.network, x)
    loss = job.loss(logits, targets)
    state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    update_weights(state, job.config)
    return float(loss.detach())
