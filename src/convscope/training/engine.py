"""How a framework trains: what a training is made from, what it comes to, and the contract between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.config import Mode, RunConfig
from convscope.core.contracts import Predictor
from convscope.core.errors import Failure, unknown_name
from convscope.core.resolved_config import ResolvedConfig
from convscope.core.run.progress import Observer
from convscope.data.prepare_data import PreparedData, Statistics
from convscope.models import engine as model_engines
from convscope.models.engine import Engine, Network
from convscope.models.spec import ModelSpec
from convscope.tasks.task import Task
from convscope.training.interrupt import Interrupt

# All epochs done; patience ran out; Ctrl-C or SIGTERM; a loss that is NaN.
Status: TypeAlias = Literal["finished", "early", "interrupted", "diverged"]


class DivergedError(Failure):
    """The loss became NaN or infinite."""


@dataclass(frozen=True)
class Initialisation:
    """Where training starts: from nothing ("scratch"), or from trained weights, and what is then trained.

    The rest is about trained weights, and empty without them. `reference`: what a person called them, as it
    holds from every folder. `network`: the name of their network, with `options`. `size`: the height and
    width that they expect. `statistics(channels)`: mean and std that they expect. `fingerprint`: tells them
    from others; None from scratch. `origin`: for people. `weights`: whatever the engine loads.
    """

    mode: Mode = "scratch"
    reference: str | None = None
    network: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    statistics: Callable[[int], Statistics] | None = None
    fingerprint: str | None = None
    origin: str = ""
    weights: Any = None


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that a training is made from; nothing in it is open.

    `spec`: the network with the head that the task needs. `model`: a custom model, or None. `folder`:
    where checkpoint and history go. `observer`: is told how it goes.
    """

    config: ResolvedConfig
    task: Task
    data: PreparedData
    spec: ModelSpec
    initialisation: Initialisation
    folder: Path
    observer: Observer
    model: object = None


# eq=False: `==` of arrays is an array, which has no truth value.
@dataclass(frozen=True, eq=False)
class Outcome:
    """What a training came to.

    `weights`: the best ones, of the whole network, by name; None before the first epoch is over. `model`: the
    spec of the network as it was built, as a dictionary, and `parameters` how many it has. `epochs`: those
    done. `best_epoch`: counted from 1; 0 for what training started from. `seconds`: of training.
    `environment`: device, precision, threads and versions, which decide the bits.
    """

    weights: dict[str, NDArray[np.generic]] | None
    model: Mapping[str, Any]
    parameters: int
    epochs: int
    best_epoch: int
    seconds: float
    environment: Mapping[str, Any]


class TrainingSession(Protocol):
    """A training that can go on: fresh from the seed, or as its checkpoint has it."""

    plan: Plan

    def fit(self, interrupt: Interrupt) -> Status:
        """Train to the end, or until `interrupt` is asked; raises DivergedError for a loss that is NaN."""

    def outcome(self) -> Outcome:
        """What was reached so far."""

    def predictor(self) -> Predictor:
        """The network with its best weights; training cannot go on afterwards."""

    def predict_validation(self) -> NDArray[np.float32]:
        """Logits N×… for the validation images, by the last weights, averaged where training does so."""

    def trial(self, rate: float, batch: int | None = None) -> float:
        """The loss of a batch before one update on it; the weights are spent afterwards.

        Args:
            rate: the learning rate, above 0.
            batch: counted from 0, over epochs; None for 32 images without augmentation, always the same.
        """


class TrainingEngine(Protocol):
    """The training half of an engine; `name` is that of its other half in `models/engine.py`."""

    name: str

    def initialise(self, config: RunConfig, *, photographs: bool, custom: bool) -> Initialisation:
        """Where training starts.

        Args:
            config: what a person asked for.
            photographs: the images are larger than 64 pixels a side, so that trained weights help most.
            custom: the network is a custom model, for which nobody else has weights.

        Raises:
            UserError: for what the engine does not have: weights, a policy, a device, a package.
        """

    def environment(self, config: RunConfig, observer: Observer) -> dict[str, Any]:
        """Choose device, precision and threads, say so, and return what decides the bits."""

    def build(
        self, spec: ModelSpec, initialisation: Initialisation, model: object = None
    ) -> tuple[Network, str]:
        """The network before its first step, and a line about its trained weights, empty without them.

        The arguments are those of a `Plan`. Raises UserError for an unknown network or weights that do not
        fit, and ShapeError for images that do not fit.
        """

    def start(self, plan: Plan) -> TrainingSession:
        """Build the network, and put into it what the checkpoint in the folder holds, if there is one."""

    def sessions(self, plan: Plan) -> Callable[[Plan], TrainingSession]:
        """What starts each of several trainings on rows of one training split, that of `plan`.

        What they share, such as features of images, is computed once.
        """


# By the path of a value, so that naming an engine does not import its framework (torch takes a second).
_BUILT_IN = {"torch": "convscope.training.pytorch.engine:TORCH"}
_entered: dict[str, TrainingEngine] = {}


def enter_engine(models: Engine, training: TrainingEngine) -> None:
    """Put both halves of an engine on the list, under one name; ValueError for a name that is taken."""
    if models.name != training.name:
        raise ValueError(f"the halves of an engine are called {models.name!r} and {training.name!r}")
    model_engines.enter_engine(models)
    _entered[training.name] = training


def training_engine(name: str) -> TrainingEngine:
    """The training half of an engine, imported now; an unknown name is a UserError with the nearest one."""
    if name in _entered:
        return _entered[name]
    if name not in _BUILT_IN:
        raise unknown_name("engine", name, [*_BUILT_IN, *_entered])
    module, _, attribute = _BUILT_IN[name].partition(":")
    engine: TrainingEngine = getattr(import_module(module), attribute)
    return engine
