"""What a network is to say of the images of a data set, whatever the task is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Targets:
    """Of N images.

    `values`: N×…, what the loss and the evaluation get. `names`: what the outputs of a network stand for, such as
    the K classes. `strata`: int64 N; a stratified split keeps the fraction of each of these numbers.
    """

    values: NDArray[Any]
    names: tuple[str, ...]
    strata: NDArray[np.int64]
