"""A network: layers in a row, trained by gradient descent. Everything that a training loop is, in NumPy.

`fit` shuffles the images and takes them batch by batch. Each batch goes forward through the layers to logits,
the loss says how wrong these are, its gradient goes backward through the layers, and the optimiser moves the
weights.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from convscope.reference.arrays import Array, ShapeError, as_floats
from convscope.reference.losses.cross_entropy import class_labels, cross_entropy, cross_entropy_backward
from convscope.reference.network.layers import Layer
from convscope.reference.training.optimizers import Weights, sgd

Optimizer = Callable[..., tuple[Weights, Any]]
Schedule = Callable[[int], float]

NESTEROV: Optimizer = partial(sgd, momentum=0.9, nesterov=True)


class DivergedError(ArithmeticError):
    """A loss or a weight is no finite number any more; the message says since when and what to change."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the images gave: mean loss and share of right answers while training, last rate,
    seconds.

    >>> print(Epoch(1, loss=0.6931, accuracy=0.5, rate=0.05, seconds=12.3))
    epoch   1   loss 0.6931   accuracy 50.0 %   rate 0.05   12.3 s
    """

    number: int
    loss: float
    accuracy: float
    rate: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"epoch {self.number:3}   loss {self.loss:.4f}   accuracy {self.accuracy * 100:.1f} %   "
            f"rate {self.rate:.3g}   {self.seconds:.1f} s"
        )


class Net:
    """Layers in a row, from images to logits.

    Args:
        layers: from the first to the last, which gives the logits.
        seed: of the weights at the start and of dropout; the same seed gives the same network.
        dtype: float32, quick, or float64, exact.

    >>> from convscope.reference.network.layers import Flatten
    >>> from convscope.reference.network.weighted_layers import Linear
    >>> net = Net([Flatten(), Linear(4, 2)])
    >>> images, labels = np.eye(4).reshape(4, 1, 2, 2), [0, 0, 1, 1]
    >>> history = net.fit(images, labels, epochs=20, batch_size=2)
    >>> net.predict(images).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """

    def __init__(self, layers: Sequence[Layer], *, seed: int = 0, dtype: DTypeLike = np.float32) -> None:
        if not layers:
            raise ValueError("a network needs one layer or more, such as [Flatten(), Linear(784, 10)]")
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise TypeError(f"a network computes in float32 or float64, not in {np.dtype(dtype)}")
        self.layers, self.dtype = list(layers), np.dtype(dtype)
        rng = np.random.default_rng(seed)
        for layer in self.layers:
            layer.start(rng, self.dtype)

    @property
    def weights(self) -> Weights:
        """All weights by names such as "0.w": the layer's place and the name it has there."""
        return {f"{i}.{name}": w for i, layer in enumerate(self.layers) for name, w in layer.weights.items()}

    @weights.setter
    def weights(self, weights: Weights) -> None:
        for i, layer in enumerate(self.layers):
            layer.weights = {name: weights[f"{i}.{name}"] for name in layer.weights}

    @property
    def gradients(self) -> Weights:
        """The gradients that `backward` left, by the names of the weights."""
        return {
            f"{i}.{name}": g for i, layer in enumerate(self.layers) for name, g in layer.gradients.items()
        }

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Images through all layers; a ShapeError says in which layer sizes do not fit."""
        for i, layer in enumerate(self.layers):
            try:
                x = layer.forward(x, training=training)
            except ShapeError as error:
                raise ShapeError(f"layer {i}, {type(layer).__name__}: {error}") from None
        return x

    def backward(self, dy: Array) -> Array:
        """The gradient of the loss back through all layers, the last one first; returns that of the
        images.
        """
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def predict(self, images: ArrayLike, *, batch_size: int = 256) -> Array:
        """Logits N×K of images N×C×H×W, in evaluation; `.argmax(axis=1)` gives classes, `softmax` shares."""
        whole = np.asarray(images)
        parts = [slice(begin, begin + batch_size) for begin in range(0, max(len(whole), 1), batch_size)]
        return np.concatenate([self.forward(self._floats(whole[part])) for part in parts])

    def fit(
        self,
        images: ArrayLike,
        labels: ArrayLike,
        *,
        epochs: int = 10,
        batch_size: int = 64,
        rate: float | Schedule = 0.05,
        optimizer: Optimizer = NESTEROV,
        seed: int = 0,
        on_epoch: Callable[[Epoch], object] | None = None,
    ) -> list[Epoch]:
        """Train: for each batch forward, loss, backward, step.

        Args:
            images: N×C×H×W, scaled to about mean 0 and deviation 1.
            labels: N whole numbers from 0 to K − 1.
            epochs: passes over the images.
            batch_size: images a step; a last batch that is not full is left out, other images each time.
            rate: learning rate, or a function of the step (0, 1, …) that gives it.
            optimizer: `sgd`, `adam` or `adamw`, with `functools.partial` for their options.
            seed: of the order of the images.
            on_epoch: called with an Epoch after each; `print` writes a line.

        Returns:
            every Epoch.

        Raises:
            ShapeError: sizes that do not fit.
            ValueError: no images, or labels that are no classes.
            DivergedError: a loss or weight that is infinite or not a number.
        """
        whole = np.asarray(images)
        targets = self._checked_labels(whole, labels)
        if epochs < 1 or batch_size < 1:
            raise ValueError(f"epochs is {epochs} and batch_size {batch_size}; both are at least 1")
        rng, state, step, history = np.random.default_rng(seed), None, 0, []
        for number in range(1, epochs + 1):
            began, losses, right = time.perf_counter(), [], 0
            for chosen in _batches(len(whole), batch_size, rng):
                x, y = self._floats(whole[chosen]), targets[chosen]
                now = rate(step) if callable(rate) else rate
                with np.errstate(over="ignore", invalid="ignore"):
                    logits = self.forward(x, training=True)
                    losses.append(cross_entropy(logits, y))
                    self.backward(cross_entropy_backward(1.0, logits, y))
                    self.weights, state = optimizer(self.weights, self.gradients, state, rate=now)
                _check_finite(losses[-1], self.weights, x, step=step, rate=now)
                right += int((logits.argmax(axis=1) == y).sum())
                step += 1
            seen = len(losses) * min(batch_size, len(whole))
            loss = math.fsum(losses) / len(losses)
            history.append(Epoch(number, loss, right / seen, now, time.perf_counter() - began))
            if on_epoch:
                on_epoch(history[-1])
        return history

    def _floats(self, images: Array) -> Array:
        """A batch in the network's own precision: bytes become floats here, and not 60,000 images at once."""
        return as_floats(images)[0].astype(self.dtype, copy=False)

    def _checked_labels(self, images: Array, labels: ArrayLike) -> NDArray[np.int64]:
        """The labels, each one of as many classes as the network has logits."""
        if images.ndim < 2 or not len(images):
            raise ValueError(f"training needs images N×C×H×W, one or more; given: {images.shape}")
        logits = self.predict(images[:1])
        if logits.ndim != 2:
            raise ShapeError(
                f"the last layer gives {logits.shape} for one image; a classifier gives logits, N×K: "
                "end with Flatten() and Linear(D, K)"
            )
        return class_labels(labels, len(images), logits.shape[1])


def _batches(count: int, batch_size: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """The numbers 0 to `count` − 1 in a new order, cut into full batches; fewer than one batch are one."""
    order = rng.permutation(count)
    size = min(batch_size, count)
    for begin in range(0, count - size + 1, size):
        yield order[begin : begin + size]


def _check_finite(loss: float, weights: Weights, x: Array, *, step: int, rate: float) -> None:
    """Stop at the first loss or weight that is infinite or not a number: from there on nothing is learned."""
    if math.isfinite(loss) and all(np.isfinite(w).all() for w in weights.values()):
        return
    if not np.isfinite(x).all():
        raise DivergedError(
            f"a pixel in the batch of step {step} is infinite or not a number; mend the images"
        )
    raise DivergedError(
        f"training diverged in step {step}: the loss is {loss:.3g}, and a loss or weight is infinite or not "
        f"a number. "
        f"Lower the rate, {rate:.3g}, to a tenth, and scale the images to mean 0 and deviation 1 "
        f"(in this batch {x.mean():.3g} and {x.std():.3g})"
    )
