"""The moving parts of a run, put together from its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from convscope.core.config import RunConfig
from convscope.core.provenance import processor, versions
from convscope.core.run.display import Display
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.pytorch.augmentation.mix import mix
from convscope.data.pytorch.augmentation.policies import policy
from convscope.data.pytorch.loader import Loader
from convscope.inference.predict_split import predict_split
from convscope.models.pytorch.device import autocast, choose_device, choose_precision, set_threads
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.tasks.classification.metrics import cross_entropy, top_k_accuracy
from convscope.tasks.classification.pytorch.losses import Loss, make_loss, sampling_weights
from convscope.training.prepare_data import PreparedData
from convscope.training.pytorch.checkpoint import Progress, State
from convscope.training.pytorch.ema import Ema
from convscope.training.pytorch.loop import Job
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


def choose_compute(config: RunConfig, earlier: Progress | None, display: Display) -> Compute:
    """Device, precision and threads, said aloud. A run that goes on keeps the precision that it began
    with.
    """
    device = choose_device(config.train.device)
    precision, reason = choose_precision(config.train.precision, device.device)
    if earlier:
        precision, reason = earlier.environment["precision"], "as the run began"
    compute = Compute(device.device, precision, set_threads(config.train.threads))
    display.say(
        f"device: {device.reason}; {precision}: {reason}; {compute.threads} "
        f"thread{'s' * (compute.threads > 1)}"
    )
    now, before = compute.environment(), earlier.environment if earlier else {}
    changed = [f"{key} was {value}, is {now[key]}" for key, value in before.items() if now[key] != value]
    if changed:
        display.say(f"warning: the run goes on, but not bit for bit: {'; '.join(changed)}", style="yellow")
    return compute


def assemble(
    config: RunConfig,
    prepared: PreparedData,
    network: Network,
    *,
    compute: Compute,
    folder: Path,
    display: Display,
) -> tuple[Job, State]:
    """The job that the loop is given and the state that it moves, before the first step."""
    network.to(device=compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    tuned = config.transfer.mode == "finetune"
    scale_of = rate_scales(network, config.transfer.layer_decay) if tuned else None
    state = make_state(config, network, compute, scale_of=scale_of)
    loader = make_loader(config, prepared, compute)
    predictor = TorchPredictor(network, prepared.preprocess, prepared.classes, compute.device)

    def prepare(epoch: int) -> None:
        if tuned:
            prepare_to_tune(network, config.transfer, epoch)
        else:
            network.train()

    def validate() -> tuple[float, float]:
        return val_metrics(predict_split(predictor, prepared.validation), prepared.validation)

    return Job(
        config=config.train.settled(),
        seed=config.seed,
        loader=loader,
        loss=loss_for(config, prepared),
        prepare=prepare,
        validate=validate,
        autocast=partial(autocast, compute.precision, compute.device),
        folder=folder,
        display=display,
    ), state


def make_state(
    config: RunConfig, network: nn.Module, compute: Compute, *, scale_of: ScaleOf | None = None
) -> State:
    """Optimiser, averaged weights and scaler for a network, and a progress of nothing yet."""
    settings = config.train.settled()
    optimizer = make_optimizer(
        network,
        settings.optimizer,
        settings.lr,
        weight_decay=settings.weight_decay,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        scale_of=scale_of or (lambda _: 1.0),
    )
    return State(
        network=network,
        optimizer=optimizer,
        ema=Ema(network, settings.ema) if settings.ema else None,
        scaler=torch.amp.GradScaler(compute.device.type, enabled=compute.precision == "float16"),
        progress=Progress(environment=compute.environment()),
    )


def make_loader(config: RunConfig, prepared: PreparedData, compute: Compute) -> Loader:
    """The training batches that the configuration asks for."""
    settings, train = config.train, prepared.train
    return Loader(
        part=train,
        classes=len(prepared.classes),
        batch_size=min(settings.batch_size or len(train), len(train)),
        augment=policy(config.augment.policy or "basic", flip=config.augment.flip is not False),
        mean=prepared.preprocess.mean,
        std=prepared.preprocess.std,
        seed=config.seed,
        mix=mix(config.augment.mix),
        weights=sampling_weights(train.targets) if settings.imbalance == "sampler" else None,
        device=str(compute.device),
        dtype=getattr(torch, compute.precision),
    )


def loss_for(config: RunConfig, prepared: PreparedData) -> Loss:
    """The loss that the configuration asks for, with the training split's counts."""
    counts = np.bincount(prepared.train.targets, minlength=len(prepared.classes)).tolist()
    return make_loss(counts, imbalance=config.train.imbalance, label_smoothing=config.train.label_smoothing)


def val_metrics(logits: NDArray[np.float32], part: PreparedSplit) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of logits N×K for the N images of a part."""
    exact = logits.astype(np.float64)
    return cross_entropy(exact, part.targets), top_k_accuracy(exact, part.targets, 1)
