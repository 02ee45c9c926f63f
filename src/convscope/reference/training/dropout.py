"""Dropout: in training, numbers become 0 at random, so that no unit can rely on its neighbours.

Random numbers and arithmetic are separate: first a mask is drawn, and applying it is a pure function. In
evaluation nothing is dropped, so there is nothing to call.

Source: Srivastava and others 2014, Journal of Machine Learning Research 15, section 4; whole channels:
Tompson and others 2014, https://arxiv.org/abs/1411.4280.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array, ShapeError, as_floats


def dropout_mask(shape: tuple[int, ...], rng: np.random.Generator, *, p: float = 0.5) -> Array:
    """Draw which numbers are kept, each with probability 1 − p, independently.

    Args:
        shape: that of x.
        rng: the source of random numbers; the same state gives the same mask.
        p: probability of being dropped, from 0 up to, and without, 1.

    Returns:
        Bool, of `shape`; True is kept.

    Raises:
        ValueError: p out of range.

    >>> dropout_mask((10_000,), np.random.default_rng(0), p=0.25).mean().round(2).item()
    0.75
    """
    # rng.random lies in [0, 1), so p = 0 keeps everything: 0 ≥ 0.
    return rng.random(shape) >= _checked(p)


def channel_dropout_mask(shape: tuple[int, ...], rng: np.random.Generator, *, p: float = 0.5) -> Array:
    """Draw which maps are kept.

    A single dropped pixel has little effect, since its neighbours are almost the same; a whole map has.

    Args:
        shape: that of x, N×C×H×W.
        rng: the source of random numbers.
        p: probability of being dropped, from 0 up to, and without, 1.

    Returns:
        Bool, N×C×1×1; True is kept.

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
    """Keep what the mask keeps and enlarge it, so that the mean stays: y = x·mask/(1 − p).

    E[mask] = 1 − p, so E[y] = x, and evaluation needs no factor of its own.

    Args:
        x: of any shape.
        mask: bool, of the shape of x or N×C×1×1; see `dropout_mask` and `channel_dropout_mask`.
        p: the probability that the mask was drawn with.

    Returns:
        y, of the shape of x.

    Raises:
        ShapeError: a mask that does not fit.
        ValueError: p out of range.

    >>> dropout([1, 2, 3, 4], np.array([True, False, True, False])).tolist()
    [2.0, 0.0, 6.0, 0.0]
    """
    (x,) = as_floats(x)
    # Broadcasting would also accept a mask with fewer axes, and drop the same numbers of every image.
    fits = mask.ndim == x.ndim and all(
        m in (1, length) for m, length in zip(mask.shape, x.shape, strict=True)
    )
    if not fits or mask.dtype != bool:
        raise ShapeError(
            f"the mask is bool and of the shape of x, {x.shape}, or 1 along an axis; given: {mask.shape}"
        )
    return x * mask / (1 - _checked(p))


def dropout_backward(dy: ArrayLike, mask: Array, *, p: float = 0.5) -> Array:
    """Compute the gradient of `dropout`: dx = dy·mask/(1 − p), since y is x times a constant.

    Args:
        dy: ∂L/∂y, of the shape of x; x itself is not needed.
        mask: as in `dropout`, and so the rest.
        p: the probability that the mask was drawn with.

    Returns:
        dx, of the shape of x.

    Raises:
        ShapeError: a mask that does not fit.
        ValueError: p out of range.

    >>> dropout_backward([1, 1, 1, 1], np.array([True, False, True, False])).tolist()
    [2.0, 0.0, 2.0, 0.0]
    """
    # Linear in x, so the gradient is the same map.
    return dropout(dy, mask, p=p)


def _checked(p: float) -> float:
    """Return p, or refuse it; at p = 1 the factor 1/(1 − p) is infinite."""
    if not 0.0 <= p < 1.0:
        raise ValueError(
            f"p is {p}; it is the probability of striking a number out, from 0 to below 1, such as 0.5"
        )
    return p
