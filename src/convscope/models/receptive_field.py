"""How much of the image one position of a map sees, and how far apart in the image two neighbours look.

Layer by layer, for a window of k pixels with stride s and dilation d, and for each axis on its own:

    field ← field + (k − 1) · d · stride        stride ← stride · s

starting from 1 and 1 for the image itself (Araujo, Norris & Sim, Computing Receptive Fields of Convolutional
Neural Networks, 2019). Where branches meet, the larger one counts. This is the field in theory: what is
inside it can count, what is outside it cannot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

Pair: TypeAlias = tuple[int, int]
"""Height and width, in pixels of the image."""


@dataclass(frozen=True)
class Field:
    """The pixels that one position of a map sees, and the step in pixels to its neighbour."""

    size: Pair = (1, 1)
    stride: Pair = (1, 1)

    def through(self, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Field:
        """The field after a window slides over the map; each argument is (height, width), 1 or more.

        >>> Field().through((3, 3), (2, 2)).through((3, 3), (1, 1))
        Field(size=(7, 7), stride=(2, 2))
        """
        # Each pixel that the window gains is `stride` pixels of the image further out.
        grown = [self.size[i] + (kernel[i] - 1) * dilation[i] * self.stride[i] for i in (0, 1)]
        return Field((grown[0], grown[1]), (self.stride[0] * stride[0], self.stride[1] * stride[1]))


def meet(fields: Iterable[Field | None]) -> Field | None:
    """The field where branches come together: the larger one on each axis; None, the whole image, is largest.

    >>> meet([Field((3, 3), (1, 1)), Field((1, 5), (2, 1))])
    Field(size=(3, 5), stride=(2, 1))
    """
    met = Field()
    for field in fields:
        if field is None:  # one branch sees everything, so whatever they meet in does
            return None
        size = (max(met.size[0], field.size[0]), max(met.size[1], field.size[1]))
        met = Field(size, (max(met.stride[0], field.stride[0]), max(met.stride[1], field.stride[1])))
    return met
