"""The test that every derivative here has to pass: the derived gradient beside the measured one.

A derivative is measured by a small step h to both sides. Taylor's series gives

    f(x + h) = f(x) + h f′(x) + h²/2 f″(x) + h³/6 f‴(x) + …
    (f(x + h) − f(x − h)) / 2h = f′(x) + h²/6 f‴(x) + …

The even terms cancel, so the error of the method falls with h², where that of a one-sided difference falls
with h. Rounding errs by about ε|f|/h, which rises as h falls. The sum of both is least near h = ε^(1/3),
6·10⁻⁶ in float64, and is then about ε^(2/3), 4·10⁻¹¹. In float32 the same calculation gives 2·10⁻⁵, which
hides small mistakes: hence float64.

Source: Nocedal and Wright, Numerical Optimization (2006), section 8.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from convscope.reference.arrays import Array

STEP = float(np.finfo(np.float64).eps) ** (1 / 3)


class GradientError(AssertionError):
    """A derived gradient is not the measured one; the message says of which array, where and by how much."""


def gradcheck(
    function: Callable[..., ArrayLike],
    gradients: Callable[..., Array | Sequence[Array]],
    *arrays: ArrayLike,
    at_most: float = 1e-7,
    seed: int = 0,
) -> float:
    """Compare derived gradients with central differences, element by element, in float64.

    A function y = f(x, …) of arrays becomes a number L = Σ dy·y with random dy. ∂L/∂x is then what
    `gradients` has to return for this dy, one number for each element of x.

    Args:
        function: f(*arrays) -> y, of any shape; a number for a loss.
        gradients: g(dy, *arrays) -> one gradient for each array, in their order; an array alone where there
            is one.
        arrays: where to compare, of any shapes; away from kinks (0 of a ReLU, ties of a maximum). Inputs
            without a
            derivative, such as labels, belong into the functions.
        at_most: the largest error allowed, relative to the largest value of the array's gradient. Central
            differences are good to about 1e-10 where f is O(1) and smooth.
        seed: of dy, drawn from the normal distribution.

    Returns:
        The largest error beyond what rounding explains, relative to the largest value of the gradient.

    Raises:
        GradientError: an error above `at_most`, a gradient of another shape, or another number of gradients.

    >>> gradcheck(lambda x: x**2, lambda dy, x: 2 * x * dy, [1.0, -3.0]) < 1e-9
    True
    >>> gradcheck(lambda x: x**2, lambda dy, x: x * dy, [1.0, -3.0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    convscope.reference.gradcheck.GradientError: the gradient of array 0 errs most at (1,): derived ...
    """
    points = [np.array(array, np.float64) for array in arrays]
    y = np.asarray(function(*points))
    # With dy = 1 the errors of two outputs could cancel.
    dy = np.random.default_rng(seed).standard_normal(y.shape)
    # Rounding y changes a measured derivative by this much: smaller ones cannot be measured.
    noise = 2 * np.finfo(np.float64).eps * float(np.abs(dy * y).sum()) / STEP
    derived = gradients(dy, *(point.copy() for point in points))
    listed = [derived] if isinstance(derived, np.ndarray | np.floating) else list(derived)
    if len(listed) != len(points):
        raise GradientError(
            f"{len(points)} arrays need {len(points)} gradients, in their order; given: {len(listed)}"
        )
    worst = 0.0
    for which, gradient in enumerate(listed):
        measured = _measured(function, points, which, dy=dy)
        worst = max(worst, _compare(np.asarray(gradient), measured, which, at_most=at_most, noise=noise))
    return worst


def _measured(function: Callable[..., ArrayLike], points: list[Array], which: int, *, dy: Array) -> Array:
    """Central differences of Σ dy·f in each element of one array; the others stay as they are."""
    gradient = np.empty_like(points[which])
    for index in np.ndindex(gradient.shape):
        # Relative to x, or x ± h would round to x itself from 10¹¹ on.
        step = STEP * max(1.0, abs(points[which][index]))
        ends = [[*points[:which], points[which].copy(), *points[which + 1 :]] for _ in range(2)]
        ends[0][which][index] -= step
        ends[1][which][index] += step
        # The distance after rounding: x ± h is not exact, and h²/6 f‴ is smaller than that rounding.
        distance = ends[1][which][index] - ends[0][which][index]
        # Subtract, then sum: outputs that do not depend on this element cancel exactly and add no rounding.
        below, above = (np.asarray(function(*values)) for values in ends)
        gradient[index] = np.sum(dy * (above - below)) / distance
    return gradient


def _compare(derived: Array, measured: Array, which: int, *, at_most: float, noise: float) -> float:
    """The largest error of one gradient, relative to its largest value; a GradientError above `at_most`."""
    if derived.shape != measured.shape:
        raise GradientError(
            f"the gradient of array {which} has shape {derived.shape}, the array {measured.shape}"
        )
    if not derived.size:
        return 0.0
    errors = np.maximum(np.abs(derived - measured) - noise, 0)
    # Relative to the largest value, since an element may be 0 where the gradient as a whole is not.
    scale = max(np.abs(derived).max(), np.abs(measured).max())
    worst = float(errors.max() / scale) if scale else 0.0
    # `not worst <= at_most` instead of `worst > at_most`: NaN fails as well.
    if not worst <= at_most:
        index = tuple(int(i) for i in np.unravel_index(np.argmax(errors), errors.shape))
        raise GradientError(
            f"the gradient of array {which} errs most at {index}: derived {derived[index]:.12g}, measured "
            f"{measured[index]:.12g}, which is {worst:.2g} of the largest value; allowed is {at_most:.2g}"
        )
    return worst
