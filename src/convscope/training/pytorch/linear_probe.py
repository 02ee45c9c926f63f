"""A linear head on the features of a trained body: computed once, then learned in seconds."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.core.resolved_config import ResolvedAugment, ResolvedTrain
from convscope.core.run.progress import Silent
from convscope.data.preparing.prepared_split import PreparedSplit
from convscope.data.pytorch.loader import Loader
from convscope.models.pytorch.device import autocast
from convscope.models.pytorch.heads import Standardise
from convscope.models.pytorch.hooks import eval_mode
from convscope.models.pytorch.network import Network
from convscope.training.engine import Plan
from convscope.training.interrupt import Interrupt
from convscope.training.pytorch.assemble import Compute, make_loader, make_loss, make_state
from convscope.training.pytorch.checkpoint import State
from convscope.training.pytorch.features import features_of
from convscope.training.pytorch.loop import Job, fit

# How a head is trained before fine-tuning, whatever was asked for the fine-tuning. On 2,000 photographs
# standardised features gave 2 to 4 points more than plain ones, and rates from 0.01 to 0.1 were within a
# point of each other.
EPOCHS, BATCH_SIZE, RATE = 40, 128, 0.02


@dataclass(frozen=True, kw_only=True)
class FeatureLoader(Loader):
    """Batches of features N×C in place of images, in the same order and with the same targets."""

    features: Tensor = field(repr=False)

    def inputs(self, indices: NDArray[np.int64], rng: torch.Generator) -> Tensor:  # noqa: ARG002
        """Features float32 N×C×1×1: what the head sees of images that it never sees."""
        return self.features[torch.from_numpy(indices)][:, :, None, None].to(self.device)


def assemble_head(plan: Plan, network: Network, compute: Compute) -> tuple[Job, State]:
    """The job of training `network.head` alone, in place: the state holds the head, the body stays as it is.

    Args:
        plan: of the run; its observer is told how far the features are.
        network: moved to the device.
        compute: where, and in what number type the features are computed.
    """
    network.to(device=compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    data = plan.data

    def features_for(split: PreparedSplit, name: str) -> Tensor:
        return features_of(
            network,
            split,
            data.preprocess,
            precision=compute.precision,
            what=f"features {name}",
            progress=plan.observer.progress,
        )

    features = features_for(data.train, "train"), features_for(data.validation, "validation")
    return assemble_on_features(plan, network.head, features, compute=compute)


def assemble_on_features(
    plan: Plan, head: nn.Module, features: tuple[Tensor, Tensor], *, compute: Compute
) -> tuple[Job, State]:
    """The job of training a head on features that are known.

    Args:
        plan: of the run.
        head: is trained in place; its standardisation is measured on the training features.
        features: float32 n×C of the training images and of the validation images.
        compute: where; a head is trained in float32.
    """
    train, validation = features
    for layer in head.modules():
        if isinstance(layer, Standardise):
            # All features are known: the statistics are exact, and not running ones.
            layer.measure(train.to(compute.device))
    loss = make_loss(plan)
    plain = make_loader(plan, loss, compute)
    loader = FeatureLoader(
        # Every field that is given, and none that the loader makes itself.
        **{f.name: getattr(plain, f.name) for f in fields(plain) if f.init},
        features=train,
    )

    def predict_validation() -> NDArray[np.float32]:
        with eval_mode(head), torch.inference_mode():
            logits: Tensor = head(validation[:, :, None, None].to(compute.device))
        return logits.float().cpu().numpy()

    def validate() -> Mapping[str, float]:
        evaluation = plan.task.evaluation(plan.data.names)
        evaluation.add(predict_validation(), plan.data.validation.targets)
        return evaluation.figures()

    return Job(
        config=plan.config.train,
        seed=plan.config.seed,
        loader=loader,
        loss=loss,
        score=plan.task.score,
        prepare=lambda _: head.train(),
        validate=validate,
        predict_validation=predict_validation,
        # One small matrix: a narrower number type would save nothing.
        autocast=partial(autocast, "float32", compute.device),
        folder=plan.folder,
        observer=plan.observer,
    ), make_state(plan, head, compute)


def train_head_first(plan: Plan, network: Network, compute: Compute) -> None:
    """Give `network` a trained head before fine-tuning, so that the first steps do not tear its body apart.

    A random head sends random gradients into weights that are good already (Kumar et al. 2022, arXiv
    2202.10054).

    Args:
        plan: of the fine-tuning; what it says of unequal classes holds for the head, too.
        network: its head is trained in place.
        compute: where and in what number type.
    """
    asked = plan.config.train
    train = ResolvedTrain(
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        lr=RATE,
        imbalance=asked.imbalance,
        focal_gamma=asked.focal_gamma,
        label_smoothing=asked.label_smoothing,
    )
    config = replace(plan.config, train=train, augment=ResolvedAugment(policy="none", flip=True))
    # History and checkpoints of this training are nobody's: a killed run trains its head again.
    with tempfile.TemporaryDirectory() as folder:
        head_plan = replace(plan, config=config, folder=Path(folder))
        job, state = assemble_head(head_plan, network, compute)
        fit(replace(job, observer=Silent()), state, Interrupt())
    network.head.load_state_dict(state.best)


def seed_best(job: Job, state: State) -> None:
    """Let the best weights so far be those before the first step: fine-tuning ends with no less than that."""
    score = job.validate()[job.score.name]
    state.best = {name: value.detach().clone() for name, value in state.network.state_dict().items()}
    state.progress.best_score = score
    job.observer.say(f"head first: validation {job.score.name} {score:.2%} before fine-tuning")
