"""The moving parts of a run, put together from its plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from convscope.core.config import RunConfig
from convscope.core.provenance import processor, versions
from convscope.core.run.progress import Observer
from convscope.data.pytorch.augmentation.mix import mix
from convscope.data.pytorch.augmentation.policies import policy
from convscope.data.pytorch.loader import Loader
from convscope.inference.predict_split import predict_split
from convscope.models.pytorch.device import autocast, choose_device, choose_precision, set_threads
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.tasks.task import fold
from convscope.training.engine import Plan
from convscope.training.pytorch.checkpoint import Progress, State
from convscope.training.pytorch.ema import Ema
from convscope.training.pytorch.loop import Job, Loss
from convscope.training.pytorch.optimizer import ScaleOf, make_optimizer
from convscope.training.pytorch.transfer import prepare_to_tune, rate_scales


@dataclass(frozen=True)
class Compute:
    """Where and in what number type the run computes; equal values are needed to continue it bit for bit."""

    device: torch.device
    precision: str
    threads: int

    def environment(self) -> dict[str, object]:
        """What a checkpoint remembers of the machine."""
        return {
            "device": str(self.device),
            "precision": self.precision,
            "threads": self.threads,
            "cpu": processor(),
            "torch": versions()["torch"],
        }


def choose_compute(config: RunConfig, earlier: Progress | None, observer: Observer) -> Compute:
    """Device, precision and threads, said to the observer.

    Args:
        config: what a person asked for.
        earlier: the progress of a run that goes on; it keeps its precision, and what else is not as it was
            then is a warning.
        observer: is told what was chosen and why.
    """
    device = choose_device(config.train.device)
    precision, reason = choose_precision(config.train.precision, device.device)
    # Another number type would give other bits from the first step on.
    if earlier:
        precision, reason = earlier.environment["precision"], "as the run began"
    compute = Compute(device.device, precision, set_threads(config.train.threads))
    threads = f"{compute.threads} thread{'s' * (compute.threads > 1)}"
    observer.say(f"device: {device.reason}; {precision}: {reason}; {threads}")
    now, before = compute.environment(), earlier.environment if earlier else {}
    changed = [f"{key} was {value}, is {now[key]}" for key, value in before.items() if now[key] != value]
    # A warning and no error: other bits are better than a run that cannot go on.
    if changed:
        observer.say(f"warning: the run goes on, but not bit for bit: {'; '.join(changed)}", style="yellow")
    return compute


def assemble(plan: Plan, network: Network, compute: Compute) -> tuple[Job, State]:
    """The job that the loop is given and the state that it moves, before the first step.

    Args:
        plan: of the run.
        network: moved to the device; all of it is trained.
        compute: where and in what number type.
    """
    # The layout in which oneDNN and cuDNN convolve; in any other they copy first.
    network.to(device=compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    transfer, data = plan.config.transfer, plan.data
    tuned = transfer.mode == "finetune"  # scratch is the only other one here: a probe trains its head alone
    scale_of = rate_scales(network, transfer.layer_decay) if tuned else _one_rate
    predictor = TorchPredictor(network, data.preprocess, data.names, compute.device)
    loss = make_loss(plan)

    def prepare(epoch: int) -> None:
        if tuned:
            prepare_to_tune(network, transfer, epoch)
        else:
            network.train()

    def validate() -> Mapping[str, float]:
        return fold(plan.task.evaluation(data.names), predictor, data.validation).figures()

    return Job(
        config=plan.config.train,
        seed=plan.config.seed,
        loader=make_loader(plan, loss, compute),
        loss=loss,
        score=plan.task.score,
        prepare=prepare,
        validate=validate,
        predict_validation=lambda: predict_split(predictor, data.validation),
        autocast=partial(autocast, compute.precision, compute.device),
        folder=plan.folder,
        observer=plan.observer,
    ), make_state(plan, network, compute, scale_of=scale_of)


def _one_rate(_: str) -> float:
    return 1.0


def make_loss(plan: Plan) -> Loss:
    """The loss of the task, as the configuration and the training targets have it."""
    data = plan.data
    loss: Loss = plan.task.loss("pytorch", plan.config.train, data.train.targets, names=data.names)
    return loss


def make_state(plan: Plan, network: nn.Module, compute: Compute, *, scale_of: ScaleOf = _one_rate) -> State:
    """Optimiser, averaged weights and scaler for what is trained, and a progress of nothing yet.

    Args:
        plan: of the run.
        network: what is trained, on its device.
        compute: as in `assemble`.
        scale_of: what the learning rate of a parameter is multiplied by, from its name.
    """
    settings = plan.config.train
    optimizer = make_optimizer(
        network,
        settings.optimizer,
        settings.lr,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        scale_of=scale_of,
    )
    return State(
        network=network,
        optimizer=optimizer,
        ema=Ema(network, settings.ema) if settings.ema else None,
        # float16 alone needs it: gradients below its smallest number, 6e-8, would be 0.
        scaler=torch.amp.GradScaler(compute.device.type, enabled=compute.precision == "float16"),
        progress=Progress(environment=compute.environment()),
    )


def make_loader(plan: Plan, loss: Loss, compute: Compute) -> Loader:
    """The training batches that the configuration asks for; `loss` makes targets that can be mixed."""
    config, data = plan.config, plan.data
    # A batch that is not full is left out, so that there has to be a full one.
    batch_size = min(config.train.batch_size, len(data.train))
    return Loader(
        split=data.train,
        batch_size=batch_size,
        augment=policy(config.augment.policy, flip=config.augment.flip),
        mean=data.preprocess.mean,
        std=data.preprocess.std,
        seed=config.seed,
        mix=mix(config.augment.mix),
        mixable=loss.mixable,
        weights=loss.sampling,
        device=str(compute.device),
        dtype=getattr(torch, compute.precision),
    )
