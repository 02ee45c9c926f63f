"""Rectangles, one in every image: which rows of the batch they touch, and which columns they cover there."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Boxes(NamedTuple):
    """A rectangle in each of N images: rows `top` up to `bottom`, columns `left` up to `right`, ends
    excluded; int64 N.

    What lies outside the image is cut off; an end at or before its start is an empty rectangle.
    """

    top: Tensor
    bottom: Tensor
    left: Tensor
    right: Tensor

    def rows(self, height: int) -> Tensor:
        """The numbers of the touched rows among the N·`height` rows of the batch, int64 R, ascending.

        >>> one = torch.ones(1, dtype=torch.int64)
        >>> Boxes(one, 3 * one, 0 * one, one).rows(4).tolist()
        [1, 2]
        """
        y = torch.arange(height, device=self.top.device)
        return ((y >= self.top[:, None]) & (y < self.bottom[:, None])).flatten().nonzero()[:, 0]

    def columns(self, width: int, channels: int) -> Tensor:
        """Which bytes of a row of W·C the rectangle covers in each image, bool N×(W·C).

        >>> one = torch.ones(1, dtype=torch.int64)
        >>> Boxes(one, one, one, 2 * one).columns(3, 1).tolist()
        [[False, True, False]]
        """
        x = torch.arange(width, device=self.left.device).repeat_interleave(channels)
        return (x >= self.left[:, None]) & (x < self.right[:, None])

    def area(self, height: int, width: int) -> Tensor:
        """Pixels covered inside an image of `height`×`width`, int64 N.

        >>> one = torch.ones(1, dtype=torch.int64)
        >>> Boxes(-one, one, one, 9 * one).area(4, 4).tolist()
        [3]
        """
        tall = (self.bottom.clamp(0, height) - self.top.clamp(0, height)).clamp(min=0)
        return tall * (self.right.clamp(0, width) - self.left.clamp(0, width)).clamp(min=0)
