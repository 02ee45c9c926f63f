"""Layers with weights: convolution, the dense layer, and batch norm.

Weights start as He and others 2015 draw them, biases at 0.

Legend: N images, C_in and C_out channels, D inputs, K outputs; dx, dw, db gradients of the loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from convscope.reference.arrays import Array, check_groups
from convscope.reference.convolution.conv2d import conv2d, conv2d_backward
from convscope.reference.network.layers import Layer
from convscope.reference.network.linear import linear, linear_backward
from convscope.reference.normalisation.batch_norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_eval,
    running_statistics,
)
from convscope.reference.shapes import Padding, Pair, pair
from convscope.reference.training.initialisation import he_normal


class Conv2d(Layer):
    """A convolution with a bias, N×C_in×H×W → N×C_out×H′×W′; arguments as for `conv2d`.

    Args:
        in_channels: C_in, at least 1.
        out_channels: C_out, at least 1.
        kernel: kH, kW, at least 1; an integer or two.
        stride: s, at least 1; an integer or two.
        padding: p, zeros around the image; an integer, two, "valid" or "same".
        dilation: d, at least 1; an integer or two.
        groups: parts of channels and filters, which divides both.

    Raises:
        ShapeError: groups that do not divide C_in, or a kernel that is no size.

    >>> layer = Conv2d(3, 8, 5, padding=2)
    >>> layer.start(np.random.default_rng(0), np.float32)
    >>> layer.forward(np.zeros((1, 3, 28, 28), np.float32)).shape
    (1, 8, 28, 28)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: Pair,
        *,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: int = 1,
    ) -> None:
        super().__init__()
        check_groups(groups, in_channels, name="C_in")
        # Checked here, or C_in // groups would silently lose channels.
        self.shape = (out_channels, in_channels // groups, *pair(kernel, name="kernel", at_least=1))
        self.options: dict[str, Any] = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
        }

    def start(self, rng: np.random.Generator, dtype: DTypeLike) -> None:
        """Draw the filters from `rng` as float32 or float64."""
        self.weights = {"w": he_normal(self.shape, rng, dtype=dtype), "b": np.zeros(self.shape[0], dtype)}

    def _forward(self, x: Array, training: bool) -> Array:  # noqa: ARG002
        return conv2d(x, self.weights["w"], self.weights["b"], **self.options)

    def _backward(self, dy: Array, x: Array) -> Array:
        # Kept, not added up: each step of the optimizer sees one batch.
        dx, dw, db = conv2d_backward(dy, x, self.weights["w"], **self.options)
        self.gradients = {"w": dw, "b": db}
        return dx


class Linear(Layer):
    """A dense layer with a bias, N×D → N×K.

    Args:
        inputs: D, at least 1.
        outputs: K, at least 1.

    >>> layer = Linear(784, 10)
    >>> layer.start(np.random.default_rng(0), np.float32)
    >>> layer.forward(np.zeros((2, 784), np.float32)).shape
    (2, 10)
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shape = (outputs, inputs)

    def start(self, rng: np.random.Generator, dtype: DTypeLike) -> None:
        """Draw the weights from `rng` as float32 or float64."""
        self.weights = {"w": he_normal(self.shape, rng, dtype=dtype), "b": np.zeros(self.shape[0], dtype)}

    def _forward(self, x: Array, training: bool) -> Array:  # noqa: ARG002
        return linear(x, self.weights["w"], self.weights["b"])

    def _backward(self, dy: Array, x: Array) -> Array:
        dx, dw, db = linear_backward(dy, x, self.weights["w"])
        self.gradients = {"w": dw, "b": db}
        return dx


class BatchNorm2d(Layer):
    """Batch norm of C channels: by the batch in training, by the running `mean` and `var` in evaluation.

    Args:
        channels: C, at least 1.
        momentum: fraction of the new batch in the running statistics, from 0 to 1.
        eps: added to the variance.

    >>> layer = BatchNorm2d(3)
    >>> layer.start(np.random.default_rng(0), np.float64)
    >>> layer.forward(np.ones((2, 3, 4, 4)), training=True).max().item()
    0.0
    """

    def __init__(self, channels: int, *, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.channels, self.momentum, self.eps = channels, momentum, eps
        self.mean, self.var = np.zeros(channels), np.ones(channels)

    def start(self, rng: np.random.Generator, dtype: DTypeLike) -> None:  # noqa: ARG002 (no random numbers)
        """Set γ and the variance to 1, β and the mean to 0, as float32 or float64; `rng` is not used."""
        self.weights = {"gamma": np.ones(self.channels, dtype), "beta": np.zeros(self.channels, dtype)}
        self.mean, self.var = np.zeros(self.channels, dtype), np.ones(self.channels, dtype)

    def _forward(self, x: Array, training: bool) -> Array:
        gamma, beta = self.weights["gamma"], self.weights["beta"]
        if not training:
            return batch_norm_eval(x, gamma, beta, mean=self.mean, var=self.var, eps=self.eps)
        # Statistics are no weights: no gradient reaches them, and no optimizer moves them.
        self.mean, self.var = running_statistics(x, self.mean, self.var, momentum=self.momentum)
        return batch_norm(x, gamma, beta, eps=self.eps)

    def _backward(self, dy: Array, x: Array) -> Array:
        # The running statistics have no part in it: training uses those of the batch.
        dx, dgamma, dbeta = batch_norm_backward(dy, x, self.weights["gamma"], eps=self.eps)
        self.gradients = {"gamma": dgamma, "beta": dbeta}
        return dx
