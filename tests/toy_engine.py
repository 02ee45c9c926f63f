"""A second engine in NumPy: softmax regression on pixels, which learns one matrix by gradient descent.

It is here for the contracts: whatever the package asks of an engine, sixty lines of NumPy can give.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from convscope.core.atomic import write_bytes
from convscope.core.errors import ShapeError, UserError
from convscope.core.provenance import processor
from convscope.core.run.history import History
from convscope.core.seeds import generator
from convscope.data.preparing.preprocess import Preprocess
from convscope.models.spec import ModelSpec
from convscope.training.engine import DivergedError, Initialisation, Outcome, Plan, Status
from convscope.training.interrupt import Interrupt

NETWORK = "softmax"
CHECKPOINT = "checkpoint.npz"


@dataclass
class Softmax:
    """Logits are pixels · weight + bias."""

    spec: ModelSpec
    weight: np.ndarray
    bias: np.ndarray

    def logits(self, images: np.ndarray, preprocess: Preprocess) -> np.ndarray:
        """Logits N×K for images uint8 N×H×W×C."""
        return pixels(images, preprocess) @ self.weight + self.bias


def pixels(images: np.ndarray, preprocess: Preprocess) -> np.ndarray:
    """Normalised pixels, float32 N×(H·W·C)."""
    mean, std = np.float32(preprocess.mean), np.float32(preprocess.std)
    return ((images / np.float32(255) - mean) / std).reshape(len(images), -1).astype(np.float32)


@dataclass(frozen=True)
class ToyPredictor:
    """A Predictor."""

    network: Softmax
    preprocess: Preprocess
    classes: tuple[str, ...]

    def predict(self, images: np.ndarray) -> np.ndarray:
        if images.shape[1:] != self.preprocess.shape:
            raise ShapeError(f"predict got {images.shape}; it needs N×{self.preprocess.shape}")
        return self.network.logits(images, self.preprocess).astype(np.float32)


class ToyModels:
    """The model half."""

    name = "toy"

    def build(self, spec: ModelSpec, model: object = None) -> Softmax:
        if model is not None or spec.name != NETWORK:
            raise UserError(f"the toy engine has no network {spec.name!r}; it has {NETWORK}")
        count = int(np.prod(spec.input_shape))
        weight = np.zeros((count, spec.classes), np.float32)
        return Softmax(spec, weight, np.zeros(spec.classes, np.float32))

    def load(self, network: Softmax, weights: Any) -> None:
        network.weight, network.bias = np.array(weights["weight"]), np.array(weights["bias"])

    def weights(self, network: Softmax) -> dict[str, np.ndarray]:
        return {"weight": network.weight.copy(), "bias": network.bias.copy()}

    def predictor(
        self, network: Softmax, preprocess: Preprocess, names: tuple[str, ...], *, device: str = "auto"
    ) -> ToyPredictor:
        return ToyPredictor(network, preprocess, names)

    def summarise(self, network: Softmax) -> Any:
        raise UserError("the toy engine has one layer")


MODELS = ToyModels()


@dataclass
class ToyState:
    """Where a training is; a checkpoint holds it beside the weights."""

    epoch: int = 0
    best_epoch: int = 0
    best_score: float | None = None
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass
class ToySession:
    """A TrainingSession."""

    plan: Plan
    network: Softmax
    state: ToyState
    best: dict[str, np.ndarray] | None = None

    def fit(self, interrupt: Interrupt) -> Status:
        plan, config, state = self.plan, self.plan.config.train, self.state
        history = History(plan.folder / "history.jsonl")
        history.truncate(state.epoch + 1)
        score = plan.task.score
        while state.epoch < config.epochs:
            losses = [self._step(state.epoch, batch) for batch in range(self._batches)]
            if not np.isfinite(losses).all():
                raise DivergedError(f"the loss became {losses[-1]} in epoch {state.epoch + 1}")
            trained, validated = self._figures(plan.data.train), self._figures(plan.data.validation)
            better = score.better(validated[score.name], state.best_score)
            state.epoch += 1
            if better:
                state.best_score, state.best_epoch = validated[score.name], state.epoch
                self.best = MODELS.weights(self.network)
            row = {"epoch": state.epoch, "lr": config.lr, "best": better}
            row |= {f"train_{name}": value for name, value in trained.items()}
            row |= {f"validation_{name}": value for name, value in validated.items()}
            row |= {"seconds": 0.01, "images_per_second": 1000.0}
            history.append(row)
            plan.observer.epoch(row, config.epochs)
            self._save()
            if interrupt.asked and state.epoch < config.epochs:
                return "interrupted"
        return "finished"

    def outcome(self) -> Outcome:
        return Outcome(
            weights=self.best,
            model=self.network.spec.to_dict(),
            parameters=self.network.weight.size + self.network.bias.size,
            epochs=self.state.epoch,
            best_epoch=self.state.best_epoch,
            seconds=0.01 * self.state.epoch,
            environment=self.state.environment,
        )

    def predictor(self) -> ToyPredictor:
        if self.best:
            MODELS.load(self.network, self.best)
        return MODELS.predictor(self.network, self.plan.data.preprocess, self.plan.data.names)

    def predict_validation(self) -> np.ndarray:
        data = self.plan.data
        images = data.validation.take(np.arange(len(data.validation)))
        return self.network.logits(images, data.preprocess).astype(np.float32)

    def trial(self, rate: float, batch: int | None = None) -> float:
        epoch, number = divmod(batch or 0, self._batches)
        return self._step(0, 0, rate) if batch is None else self._step(epoch, number, rate)

    @property
    def _batches(self) -> int:
        return max(1, len(self.plan.data.train) // self.plan.config.train.batch_size)

    def _step(self, epoch: int, batch: int, rate: float | None = None) -> float:
        """The mean cross-entropy of a batch before one step of gradient descent on it."""
        data, config = self.plan.data, self.plan.config
        order = generator(config.seed, "order", epoch).permutation(len(data.train))
        size = config.train.batch_size
        indices = order[batch * size : (batch + 1) * size]
        x, labels = pixels(data.train.take(indices), data.preprocess), data.train.targets[indices]
        logits = x @ self.network.weight + self.network.bias
        p = np.exp(logits - logits.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss = float(-np.log(p[np.arange(len(labels)), labels]).mean())
        p[np.arange(len(labels)), labels] -= 1
        step = (config.train.lr if rate is None else rate) / len(labels)
        self.network.weight -= np.float32(step) * x.T @ p
        self.network.bias -= np.float32(step) * p.sum(axis=0)
        return loss

    def _figures(self, split: Any) -> dict[str, float]:
        evaluation = self.plan.task.evaluation(self.plan.data.names)
        images = split.take(np.arange(len(split)))
        evaluation.add(self.network.logits(images, self.plan.data.preprocess), split.targets)
        return evaluation.figures()

    def _save(self) -> None:
        from io import BytesIO

        file = BytesIO()
        best = {f"best_{name}": value for name, value in (self.best or {}).items()}
        np.savez(file, state=json.dumps(asdict(self.state)), **MODELS.weights(self.network), **best)
        write_bytes(self.plan.folder / CHECKPOINT, file.getvalue())


class ToyTraining:
    """The training half."""

    name = "toy"

    def initialise(self, config: Any, *, photographs: bool, custom: bool) -> Initialisation:
        if config.transfer.pretrained or config.transfer.mode not in (None, "scratch"):
            raise UserError("the toy engine has no trained weights; leave transfer alone")
        return Initialisation()

    def environment(self, config: Any, observer: Any) -> dict[str, Any]:
        observer.say("device: cpu")
        return {"device": "cpu", "cpu": processor(), "numpy": np.__version__}

    def build(
        self, spec: ModelSpec, initialisation: Initialisation, model: object = None
    ) -> tuple[Softmax, str]:
        return MODELS.build(spec, model), ""

    def start(self, plan: Plan) -> ToySession:
        network, _ = self.build(plan.spec, plan.initialisation, plan.model)
        state = ToyState(environment=self.environment(plan.config, plan.observer))
        session = ToySession(plan, network, state)
        if (plan.folder / CHECKPOINT).is_file():
            with np.load(plan.folder / CHECKPOINT) as saved:
                session.state = ToyState(**json.loads(str(saved["state"])))
                MODELS.load(network, saved)
                if "best_weight" in saved:
                    session.best = {name: saved[f"best_{name}"] for name in ("weight", "bias")}
        return session

    def sessions(self, plan: Plan) -> Callable[[Plan], ToySession]:
        return lambda fold: self.start(replace(fold))


TRAINING = ToyTraining()
