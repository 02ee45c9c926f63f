"""PyTorch as a training engine: what `training/engine.py` asks for, in terms of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from convscope.core.config import RunConfig
from convscope.core.run.progress import Observer, Silent
from convscope.data.pytorch.augmentation.policies import policy
from convscope.models.pytorch.device import seed_everything
from convscope.models.pytorch.engine import TORCH as TORCH_MODELS
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.pretrained import build_pretrained
from convscope.models.references import is_custom_model
from convscope.models.spec import ModelSpec
from convscope.models.variants.registry import variants
from convscope.training.engine import Initialisation, Plan
from convscope.training.pytorch.assemble import Compute, assemble, choose_compute
from convscope.training.pytorch.checkpoint import load_checkpoint, read_progress
from convscope.training.pytorch.features import features_of
from convscope.training.pytorch.linear_probe import (
    assemble_head,
    assemble_on_features,
    seed_best,
    train_head_first,
)
from convscope.training.pytorch.session import TorchSession
from convscope.training.pytorch.tensorboard import check_tensorboard
from convscope.training.pytorch.transfer import choose_initialisation


class TorchTraining:
    """A `TrainingEngine`."""

    name = "torch"

    def initialise(self, config: RunConfig, *, photographs: bool, custom: bool) -> Initialisation:
        """Where training starts; arguments and errors are those of `TrainingEngine`."""
        check_names(config)
        return choose_initialisation(config, photographs=photographs, custom=custom)

    def environment(self, config: RunConfig, observer: Observer) -> dict[str, Any]:
        """Choose device, precision and threads, say so, and return what decides the bits."""
        return choose_compute(config, None, observer).environment()

    def build(
        self, spec: ModelSpec, initialisation: Initialisation, model: object = None
    ) -> tuple[Network, str]:
        """The network with fresh weights, or with trained ones and a line about how they fitted."""
        if initialisation.mode == "scratch":
            return TORCH_MODELS.build(spec, model), ""
        network, report = build_pretrained(
            initialisation.weights, input_shape=spec.input_shape, classes=spec.classes
        )
        return network, report.body_line()

    def start(self, plan: Plan) -> TorchSession:
        """The training, fresh from the seed or as the checkpoint in its folder has it."""
        earlier = read_progress(plan.folder)
        compute = choose_compute(plan.config, earlier, plan.observer)
        network = self._seeded(plan)
        mode = plan.config.transfer.mode
        # A run that goes on has its head and its best weights in the checkpoint.
        if mode == "finetune" and not earlier:
            train_head_first(plan, network, compute)
        job, state = (assemble_head if mode == "probe" else assemble)(plan, network, compute)
        if mode == "finetune" and not earlier:
            seed_best(job, state)
        if earlier:
            load_checkpoint(plan.folder, state)
            position = f"epoch {earlier.epoch + 1}, batch {earlier.batch + 1} of {len(job.loader)}"
            plan.observer.say(f"resumed at {position}")
        return TorchSession(plan, network, job, state)

    def sessions(self, plan: Plan) -> Callable[[Plan], TorchSession]:
        """What starts each of several trainings on rows of one split; a probe computes features once."""
        # Whole networks share nothing but the decoded images.
        if plan.config.transfer.mode != "probe":
            return self.start
        return _ProbeSessions(plan, self._seeded(plan), choose_compute(plan.config, None, Silent())).start

    def _seeded(self, plan: Plan) -> Network:
        """The network before its first step, a function of the seed alone."""
        # Whatever drew random numbers before, such as the network built on trial, must not matter.
        seed_everything(plan.config.seed)
        return self.build(plan.spec, plan.initialisation, plan.model)[0]


class _ProbeSessions:
    """Trains heads on features of one split, each from the same first weights."""

    def __init__(self, plan: Plan, network: Network, compute: Compute) -> None:
        self.network, self.compute = network, compute
        network.to(device=compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        # Each fold starts from these: a head that has seen another fold would know the labels of this one.
        self.fresh = {name: value.clone() for name, value in network.head.state_dict().items()}
        split = plan.data.train
        self.features = features_of(
            network,
            split,
            plan.data.preprocess,
            precision=compute.precision,
            what="features",
            progress=plan.observer.progress,
        )
        # The features lie in the order of the split, and a plan names rows of the prepared array.
        self.position_of = np.full(len(split.whole), -1)
        self.position_of[split.rows] = np.arange(len(split))

    def start(self, plan: Plan) -> TorchSession:
        """A training of the head on the rows of the plan's data."""
        self.network.head.load_state_dict(self.fresh)
        train, validation = (
            self.features[torch.from_numpy(self.position_of[split.rows])]
            for split in (plan.data.train, plan.data.validation)
        )
        job, state = assemble_on_features(plan, self.network.head, (train, validation), compute=self.compute)
        return TorchSession(plan, self.network, job, state)


def check_names(config: RunConfig) -> None:
    """Raise UserError for a misspelt augmentation, network or option, and for a package that is missing."""
    if config.augment.policy:
        policy(config.augment.policy)
    # At the first epoch it would be too late to find out.
    if config.train.tensorboard:
        check_tensorboard()
    name = config.model.name
    if name and not is_custom_model(name):
        variants[name].spec.with_changes(options=config.model.options)


TORCH = TorchTraining()
