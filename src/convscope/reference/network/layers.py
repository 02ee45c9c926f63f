"""What a layer is, and the layers that learn nothing: a pure function with the input that it remembers.

A layer does three things. `start` draws its weights. `forward` computes y and, in training, keeps x.
`backward` takes ∂L/∂y, leaves the gradients of its weights in `gradients` and returns ∂L/∂x, which is ∂L/∂y
of the layer in front.

Legend: N images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from convscope.reference.activations import relu, relu_backward
from convscope.reference.arrays import Array
from convscope.reference.network.linear import flatten, flatten_backward
from convscope.reference.pooling.average_pooling import avg_pool2d, avg_pool2d_backward
from convscope.reference.pooling.max_pooling import max_pool2d, max_pool2d_backward
from convscope.reference.shapes import Pair
from convscope.reference.training.dropout import dropout, dropout_backward, dropout_mask
from convscope.reference.training.optimizers import Weights


class Layer:
    """The base of all layers.

    `weights` and `gradients` are arrays by the same names, empty where nothing is learned.
    """

    def __init__(self) -> None:
        self.weights: Weights = {}
        self.gradients: Weights = {}
        # Backward needs x and nothing else of the forward pass; only Dropout adds its mask.
        self._x: Array | None = None

    def start(self, rng: np.random.Generator, dtype: DTypeLike) -> None:
        """Draw the weights; a layer without any has nothing to do.

        Args:
            rng: the source of random numbers; the same state gives the same weights.
            dtype: float32 or float64.
        """

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Compute y.

        Args:
            x: the input, its first axis N.
            training: remember x for `backward`, and use the training form where it differs.

        Returns:
            y, its first axis N.

        Raises:
            ShapeError: an input that does not fit.
        """
        # In evaluation x is let go, so a trained network does not hold a batch of every layer in memory.
        self._x = x if training else None
        return self._forward(x, training)

    def backward(self, dy: Array) -> Array:
        """Compute ∂L/∂x from ∂L/∂y; a RuntimeError unless the last `forward` was in training."""
        if self._x is None:
            raise RuntimeError("backward needs the input of forward(x, training=True); call that first")
        return self._backward(dy, self._x)

    def _forward(self, x: Array, training: bool) -> Array:
        """The y of x."""
        raise NotImplementedError

    def _backward(self, dy: Array, x: Array) -> Array:
        """The ∂L/∂x of ∂L/∂y, and the gradients of the weights."""
        raise NotImplementedError


class Unweighted(Layer):
    """A layer that learns nothing: a pure function, its gradient, and the options of both.

    Args:
        function: f(x, **options) -> y.
        gradient: g(dy, x, **options) -> dx.
        options: keyword arguments of both.

    >>> Unweighted(relu, relu_backward).forward(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __init__(
        self, function: Callable[..., Array], gradient: Callable[..., Array], **options: Any
    ) -> None:
        super().__init__()
        self.function, self.gradient, self.options = function, gradient, options

    def _forward(self, x: Array, training: bool) -> Array:  # noqa: ARG002 (the same in both)
        return self.function(x, **self.options)

    def _backward(self, dy: Array, x: Array) -> Array:
        return self.gradient(dy, x, **self.options)


class ReLU(Unweighted):
    """max(x, 0)."""

    def __init__(self) -> None:
        super().__init__(relu, relu_backward)


class Flatten(Unweighted):
    """N×C×H×W → N×(C·H·W)."""

    def __init__(self) -> None:
        super().__init__(flatten, flatten_backward)


class MaxPool2d(Unweighted):
    """The largest number of each window; arguments as for `max_pool2d`.

    >>> MaxPool2d(2).forward(np.zeros((1, 3, 8, 8))).shape
    (1, 3, 4, 4)
    """

    def __init__(
        self,
        kernel: Pair,
        *,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        ceil_mode: bool = False,
    ) -> None:
        options = {"stride": stride, "padding": padding, "dilation": dilation, "ceil_mode": ceil_mode}
        super().__init__(max_pool2d, max_pool2d_backward, kernel=kernel, **options)


class AvgPool2d(Unweighted):
    """The mean of each window; arguments as for `avg_pool2d`.

    >>> AvgPool2d(2).forward(np.ones((1, 3, 8, 8))).shape
    (1, 3, 4, 4)
    """

    def __init__(
        self,
        kernel: Pair,
        *,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        options = {
            "stride": stride,
            "padding": padding,
            "ceil_mode": ceil_mode,
            "count_include_pad": count_include_pad,
        }
        super().__init__(avg_pool2d, avg_pool2d_backward, kernel=kernel, **options)


class Dropout(Layer):
    """Dropout: numbers become 0 with probability p in training; in evaluation x passes unchanged.

    >>> layer = Dropout(0.5)
    >>> layer.start(np.random.default_rng(0), np.float64)
    >>> sorted(set(layer.forward(np.ones(100), training=True).tolist())), layer.forward(np.ones(2)).tolist()
    ([0.0, 2.0], [1.0, 1.0])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p
        self._rng = np.random.default_rng(0)
        self._mask = np.ones((), bool)

    def start(self, rng: np.random.Generator, dtype: DTypeLike) -> None:  # noqa: ARG002
        """Take a random generator of its own from `rng`; `dtype` is not used."""
        # A child of rng: drawing masks later does not disturb the numbers that other layers draw.
        (self._rng,) = rng.spawn(1)

    def _forward(self, x: Array, training: bool) -> Array:
        if not training:
            return x
        # Kept for backward: a second draw would drop other numbers.
        self._mask = dropout_mask(x.shape, self._rng, p=self.p)
        return dropout(x, self._mask, p=self.p)

    def _backward(self, dy: Array, x: Array) -> Array:  # noqa: ARG002 (dropout is linear)
        # The mask of the last forward pass in training.
        return dropout_backward(dy, self._mask, p=self.p)
