"""A network: layers in a row, trained by gradient descent. A whole training loop in NumPy.

`fit` shuffles the images and takes them batch by batch. Each batch goes forward through the layers to logits.
The loss says how wrong these are, its gradient goes backward through the layers, and the optimizer moves the
weights.

Legend: N images, C channels, H rows, W columns, K classes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from convscope.reference.arrays import Array, ShapeError, as_floats
from convscope.reference.losses.cross_entropy import class_labels, cross_entropy, cross_entropy_backward
from convscope.reference.network.layers import Layer
from convscope.reference.training.epoch import Epoch, batches, check_finite
from convscope.reference.training.optimizers import Weights, sgd

Optimizer = Callable[..., tuple[Weights, Any]]
Schedule = Callable[[int], float]

# A rate of 0.05 with this momentum acts like 0.5 on a steady gradient: 1/(1 − 0.9) is 10.
NESTEROV: Optimizer = partial(sgd, momentum=0.9, nesterov=True)


class Net:
    """Layers in a row, from images to logits.

    Args:
        layers: from the first to the last, which gives the logits.
        seed: of the weights at the start and of dropout; the same seed gives the same network.
        dtype: float32, which is faster, or float64, which `gradcheck` needs.

    Raises:
        ValueError: no layers.
        TypeError: another dtype.

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
        # One generator for all layers in order, so a seed names one network.
        rng = np.random.default_rng(seed)
        for layer in self.layers:
            layer.start(rng, self.dtype)

    @property
    def weights(self) -> Weights:
        """All weights by names such as "0.w": the index of the layer and the name in it."""
        return {f"{i}.{name}": w for i, layer in enumerate(self.layers) for name, w in layer.weights.items()}

    @weights.setter
    def weights(self, weights: Weights) -> None:
        # New arrays, not new values in the old ones: an optimizer's earlier weights stay as they were.
        for i, layer in enumerate(self.layers):
            layer.weights = {name: weights[f"{i}.{name}"] for name in layer.weights}

    @property
    def gradients(self) -> Weights:
        """The gradients that `backward` left, by the names of the weights."""
        return {
            f"{i}.{name}": g for i, layer in enumerate(self.layers) for name, g in layer.gradients.items()
        }

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Pass images through all layers.

        Args:
            x: N×C×H×W, in the network's dtype.
            training: remember what `backward` needs, and use the training form of batch norm and dropout.

        Returns:
            The output of the last layer: logits, N×K.

        Raises:
            ShapeError: sizes that do not fit; the message says in which layer.
        """
        for i, layer in enumerate(self.layers):
            try:
                x = layer.forward(x, training=training)
            except ShapeError as error:
                raise ShapeError(f"layer {i}, {type(layer).__name__}: {error}") from None
        return x

    def backward(self, dy: Array) -> Array:
        """Pass ∂L/∂logits back through all layers and return ∂L/∂x; `gradients` has those of the weights."""
        # The chain rule: ∂L/∂x of a layer is ∂L/∂y of the one in front.
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy

    def predict(self, images: ArrayLike, *, batch_size: int = 256) -> Array:
        """Compute logits in evaluation; `.argmax(axis=1)` gives classes, `softmax` probabilities.

        Args:
            images: N×C×H×W, scaled like those of `fit`; N may be 0.
            batch_size: images at a time, at least 1; it bounds the memory and changes nothing else.

        Returns:
            Logits, N×K.
        """
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

        A last batch that is not full is left out; the shuffle makes it other images in each epoch.

        Args:
            images: N×C×H×W, scaled to about mean 0 and deviation 1.
            labels: N whole numbers from 0 to K − 1.
            epochs: passes over the images, at least 1.
            batch_size: images a step, at least 1.
            rate: learning rate, or a function from the step (0, 1, …) to it.
            optimizer: `sgd`, `adam` or `adamw`, with `functools.partial` for their options.
            seed: of the order of the images.
            on_epoch: called with the Epoch after each epoch; `print` writes a line.

        Returns:
            One Epoch for each pass.

        Raises:
            ShapeError: sizes that do not fit.
            ValueError: no images, or labels that are no classes.
            DivergedError: a loss or weight that is infinite or NaN.
        """
        whole = np.asarray(images)
        # Before the first epoch, so that a wrong label costs no training time.
        targets = self._checked_labels(whole, labels)
        if epochs < 1 or batch_size < 1:
            raise ValueError(f"epochs is {epochs} and batch_size {batch_size}; both are at least 1")
        rng, state, step, history = np.random.default_rng(seed), None, 0, []
        for number in range(1, epochs + 1):
            start, losses, correct = time.perf_counter(), [], 0
            for batch in batches(len(whole), batch_size, rng):
                x, y = self._floats(whole[batch]), targets[batch]
                # A schedule is a function of the step, with no state to keep.
                now = rate(step) if callable(rate) else rate
                # Overflow is no warning here: `check_finite` reports it with the step and the rate.
                with np.errstate(over="ignore", invalid="ignore"):
                    logits = self.forward(x, training=True)
                    losses.append(cross_entropy(logits, y))
                    self.backward(cross_entropy_backward(1.0, logits, y))
                    self.weights, state = optimizer(self.weights, self.gradients, state, rate=now)
                check_finite(losses[-1], self.weights, x, step=step, rate=now)
                correct += int((logits.argmax(axis=1) == y).sum())
                step += 1
            seen = len(losses) * min(batch_size, len(whole))
            # fsum rounds once, so the mean does not depend on the order of the batches.
            loss = math.fsum(losses) / len(losses)
            history.append(Epoch(number, loss, correct / seen, now, time.perf_counter() - start))
            if on_epoch is not None:
                on_epoch(history[-1])
        return history

    def _floats(self, images: Array) -> Array:
        """A batch in the network's own precision."""
        # Bytes become floats batch by batch: 60,000 images of 28×28 are 47 MB as bytes and 376 MB as float64.
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
