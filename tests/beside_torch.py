"""An operation of the reference beside PyTorch's and beside measured gradients, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from convscope.reference.gradcheck import gradcheck

# Of the largest value that went in or should come out, since a sum of large numbers that happens to be nearly
# 0 is no more exact than they are. The sums of these tests have up to a few hundred terms, whose rounding
# adds up to some tens of units in the last place; 1e-10 is 450,000 of them, so that nothing but a wrong
# formula fails.
FLOAT64 = 1e-10
# The same sums in float32, where a unit in the last place is 1.2e-7: 200 units. A few tens come from the
# sums, the rest from norms, which divide by deviations that may be a tenth of the values.
FLOAT32 = 2.4e-5

Array = np.ndarray[Any, Any]
Result = Array | Sequence[Array]


def agree(
    ours: Callable[..., Any],
    backward: Callable[..., Result],
    theirs: Callable[..., torch.Tensor],
    *arrays: Array,
    gradients: bool = True,
    float32: float = FLOAT32,
) -> None:
    """Assert that `ours(*arrays)` and `backward(dy, *arrays)` give what torch and central differences give.

    Args:
        ours: the operation of the reference, from arrays to y.
        backward: its gradients, from dy and the arrays.
        theirs: the same operation in PyTorch.
        arrays: the inputs, cast to float64 and to float32.
        gradients: compare with central differences as well; not where an array lies on a kink.
        float32: the tolerance in float32, as a fraction of the largest value.
    """
    for dtype, bound in ((np.float64, FLOAT64), (np.float32, float32)):
        inputs = [array.astype(dtype) for array in arrays]
        copies = [array.copy() for array in inputs]
        leaves = [torch.tensor(array, dtype=torch.float64, requires_grad=True) for array in inputs]
        y = theirs(*leaves)
        dy = np.random.default_rng(0).standard_normal(tuple(y.shape)).astype(dtype)
        y.backward(torch.tensor(dy, dtype=torch.float64))
        largest = max(float(np.abs(array).max()) for array in (*inputs, dy))
        near(ours(*inputs), y.detach().numpy(), bound, largest=largest, dtype=dtype if y.ndim else None)
        derived = backward(dy, *inputs)
        listed = [derived] if isinstance(derived, np.ndarray) else list(derived)
        assert len(listed) == len(leaves)
        for gradient, leaf in zip(listed, leaves, strict=True):
            expected = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
            near(gradient, expected.numpy(), bound, largest=largest, dtype=dtype)
        for array, copy in zip(inputs, copies, strict=True):
            np.testing.assert_array_equal(array, copy, "an operation changed its input")
    if gradients:
        gradcheck(ours, backward, *arrays)


def near(ours: Any, expected: Any, bound: float, *, largest: float = 0.0, dtype: Any = None) -> None:
    """Assert one shape and a distance of at most `bound` times `largest` or the largest expected value."""
    ours, expected = np.asarray(ours), np.asarray(expected)
    assert ours.shape == expected.shape
    assert dtype is None or ours.dtype == dtype
    if expected.size:
        apart, largest = float(np.abs(ours - expected).max()), max(float(np.abs(expected).max()), largest)
        assert apart <= bound * largest, (
            f"{apart:.3g} apart, {apart / (largest or 1):.3g} of the largest value"
        )


def normal(*shape: int, seed: int = 0) -> Array:
    """Numbers of the normal distribution, float64; others than dy, or the gradient of a norm would be 0."""
    return np.random.default_rng([seed, 1]).standard_normal(shape)


def apart(*shape: int, seed: int = 0) -> Array:
    """Float64 numbers without order, 0.1 from each other and 0.05 from 0, so that no kink is near."""
    count = int(np.prod(shape))
    steps = np.random.default_rng(seed).permutation(count).reshape(shape) - count // 2
    return 0.1 * steps + 0.05


def ties(*shape: int, seed: int = 0) -> Array:
    """Numbers −1, 0 and 1, float64: every window of a few pixels has equal ones."""
    return np.random.default_rng(seed).integers(-1, 2, shape).astype(np.float64)
