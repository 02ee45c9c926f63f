"""Dropout: in training, numbers are struck out at random, so that none can rely on its neighbours.

Srivastava and others 2014, Journal of Machine Learning Research 15; whole channels: Tompson and others 2014,
arXiv 1411.4280. Chance and arithmetic are kept apart: a mask is drawn, and what it does is a pure function.
In evaluation nothing is struck out, so there is nothing to call.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, ShapeError, as_floats


def dropout_mask(shape: tuple[int, ...], rng: np.random.Generator, *, p: float = 0.5) -> Array:
    """Which numbers are kept: bool of `shape`, each True with probability 1 − p, independently.

    Args:
        shape: that of x.
        rng: where the chance comes from; the same state gives the same mask.
        p: probability of being struck out, from 0 up to, and without, 1.

    Raises:
        ValueError: p out of range.

    >>> dropout_mask((10_000,), np.random.default_rng(0), p=0.25).mean().round(2).item()
    0.75
    """
    return rng.random(shape) >= _checked(p)


def channel_dropout_mask(shape: tuple[int, ...], rng: np.random.Generator, *, p: float = 0.5) -> Array:
    """Which maps are kept: bool N×C×1×1. A pixel alone is not missed, since its neighbours look much the
    same.

    Args:
        shape: that of x, N×C×H×W.
        rng: where the chance comes from.
        p: probability of being struck out, from 0 up to, and without, 1.

    Raises:
        ShapeError: not four axes.
        ValueError: p out of range.

    >>> channel_dropout_mask((2, 3, 28, 28), np.random.default_rng(0)).shape
    (2, 3, 1, 1)
    """
    if len(shape) != 4:
        raise ShapeError(
            f"channel dropout strikes out maps of N×C×H×W; given: {shape}; for N×C take dropout_mask"
        )
    return dropout_mask((*shape[:2], 1, 1), rng, p=p)


def dropout(x: ArrayLike, mask: Array, *, p: float = 0.5) -> Array:
    """What the mask keeps, enlarged so that the mean stays what it was: y = x·mask/(1 − p).

    E[mask] = 1 − p, so E[y] = x, and evaluation needs no factor of its own.

    Args:
        x: of any shape.
        mask: bool, of the shape of x or N×C×1×1; see `dropout_mask` and `channel_dropout_mask`.
        p: the probability that it was drawn with.

    Returns:
        y, of the shape of x.

    Raises:
        ShapeError: a mask that does not fit.

    >>> dropout([1, 2, 3, 4], np.array([True, False, True, False])).tolist()
    [2.0, 0.0, 6.0, 0.0]
    """
    (x,) = as_floats(x)
    fits = mask.ndim == x.ndim and all(
        m in (1, length) for m, length in zip(mask.shape, x.shape, strict=True)
    )
    if not fits or mask.dtype != bool:
        raise ShapeError(
            f"the mask is bool and of the shape of x, {x.shape}, or 1 along an axis; given: {mask.shape}"
        )
    return x * mask / (1 - _checked(p))


def dropout_backward(dy: ArrayLike, mask: Array, *, p: float = 0.5) -> Array:
    """The gradient of `dropout`: dx = dy·mask/(1 − p), for y is x times a number that does not depend on it.

    dy is ∂L/∂y, of the shape of x, which itself is not needed; mask and p are as they were.

    >>> dropout_backward([1, 1, 1, 1], np.array([True, False, True, False])).tolist()
    [2.0, 0.0, 2.0, 0.0]
    """
    return dropout(dy, mask, p=p)


def _checked(p: float) -> float:
    if not 0.0 <= p < 1.0:
        raise ValueError(
            f"p is {p}; it is the probability of striking a number out, from 0 to below 1, such as 0.5"
        )
    return p
