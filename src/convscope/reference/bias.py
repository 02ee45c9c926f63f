"""The bias: one number for each map, added at every place; or none, before a norm that takes it away."""

from __future__ import annotations

from numpy.typing import ArrayLike

from convscope.reference.precision import Array, as_floats
from convscope.reference.shapes import check_same


def floats_with_bias(x: ArrayLike, w: ArrayLike, b: ArrayLike | None) -> tuple[Array, Array, Array | None]:
    """`as_floats` of all three, where the third may be missing."""
    if b is not None:
        x, w, b = as_floats(x, w, b)
        return x, w, b
    x, w = as_floats(x, w)
    return x, w, None


def add_bias(y: Array, b: Array | None) -> Array:
    """Maps y N×C_out×H×W with bias[o] added to map o, in place; as they are where there is none.

    Its gradient is the sum of dy over everything it was added to: ∂L/∂bias[o] = Σ_n Σ_i Σ_j dy[n, o, i, j].

    Raises:
        ShapeError: not one number a map.

    """
    if b is not None:
        check_same(b.shape, (y.shape[1],), name="b", why="one number a map, C_out")
        y += b[:, None, None]
    return y
