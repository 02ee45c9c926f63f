"""Which numbers the reference computes with: float32 stays float32, float64 stays float64, integers become
float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def as_floats(*values: ArrayLike) -> list[Array]:
    """The arrays in one floating type: float32 where all are, else float64.

    Integers and truth values become float64. An array of integers would cut off what is behind the point of
    each result written into it, without a word.

    Raises:
        TypeError: numbers of another type (half precision, complex, objects).

    >>> image, kernel = as_floats(np.array([1, 2]), np.float32([0.5]))
    >>> (image * kernel).tolist(), image.dtype, kernel.dtype
    ([0.5, 1.0], dtype('float64'), dtype('float64'))
    """
    arrays = [np.asarray(value) for value in values]
    for array in arrays:
        if array.dtype.kind not in "iub" and array.dtype not in (np.float32, np.float64):
            raise TypeError(
                f"the reference computes in float32 and float64, from these or from integers, not "
                f"{array.dtype}"
            )
    common = np.float32 if all(array.dtype == np.float32 for array in arrays) else np.float64
    return [array.astype(common, copy=False) for array in arrays]
