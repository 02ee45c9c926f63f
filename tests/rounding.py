"""The same numbers by another way: other batch sizes, gradient modes, memory layouts and processors take
other kernels, whose sums run in another order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

# max|Δ| / max|expected|: some tens of units in the last place, which is what some ten layers of sums of up to
# some thousand terms add up to. A wrong weight or a wrong image moves an answer by 1e-3 and more.
BOUNDS = {"float32": 1e-5, "float64": 1e-12}


def same_but_for_rounding(ours: Any, expected: Any) -> bool:
    """No number is further apart than its type allows; for arrays or detached tensors of one shape."""
    ours, expected = np.asarray(ours), np.asarray(expected)
    assert ours.shape == expected.shape and ours.dtype == expected.dtype and expected.size
    return bool(np.abs(ours - expected).max() <= BOUNDS[expected.dtype.name] * np.abs(expected).max())
