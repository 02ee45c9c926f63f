"""Random parameters, one for every image of a batch.

Drawn where the generator lives and then moved: a CPU generator gives the same augmentation on every device.
"""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(x: Tensor, rng: torch.Generator, ends: tuple[float, float]) -> Tensor:
    """N floats between the two ends, one for each image of `x`, on its device.

    >>> uniform(torch.zeros(3, 1, 2, 2), torch.Generator().manual_seed(0), (2.0, 2.0)).tolist()
    [2.0, 2.0, 2.0]
    """
    low, high = ends
    return (torch.rand(len(x), generator=rng, device=rng.device) * (high - low) + low).to(x.device)


def integers(x: Tensor, rng: torch.Generator, high: int) -> Tensor:
    """N whole numbers from 0 to `high` − 1, int64, one for each image of `x`, on its device.

    >>> integers(torch.zeros(3, 1, 2, 2), torch.Generator().manual_seed(0), 1).tolist()
    [0, 0, 0]
    """
    return torch.randint(high, (len(x),), generator=rng, device=rng.device).to(x.device)


def coin(x: Tensor, rng: torch.Generator, p: float) -> Tensor:
    """N booleans, True with probability `p`, one for each image of `x`, on its device.

    >>> coin(torch.zeros(3, 1, 2, 2), torch.Generator().manual_seed(0), 1.0).tolist()
    [True, True, True]
    """
    return (torch.rand(len(x), generator=rng, device=rng.device) < p).to(x.device)
