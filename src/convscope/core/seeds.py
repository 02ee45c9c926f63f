"""Random numbers as pure functions of the seed and of where they are used.

A training step draws from a generator made from (seed, what for, step). Nothing depends on how many numbers
were drawn before, so a run that was killed at any step goes on exactly as if it had not been, with no
generator state to store.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def derive(seed: int, *uses: str | int) -> int:
    """A number below 2^63 that depends on the seed and its use, and on nothing else (SHA-256).

    Args:
        seed: of the run.
        uses: what the numbers are for, such as "order" and the epoch.

    >>> derive(0, "order", 3) == derive(0, "order", 3), derive(0, "order", 3) == derive(0, "order", 4)
    (True, False)
    """
    # A separator that no name holds: ("a", "b") and ("ab",) must differ.
    text = "\x1f".join([str(seed), *(str(use) for use in uses)])
    # 63 bits: torch and NumPy take seeds below 2^63.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *uses: str | int) -> np.random.Generator:
    """A NumPy generator for a seed and a use, as `derive` takes them.

    >>> bool((generator(7, "order", 0).permutation(9) == generator(7, "order", 0).permutation(9)).all())
    True
    """
    import numpy as np

    return np.random.default_rng(derive(seed, *uses))
