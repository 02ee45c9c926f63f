"""Cover a rectangle of each image, so that a network may not rest on one detail: cutout, random erasing."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from convscope.data.pytorch.augmentation.per_image import coin, integers, put_rows, to_nchw, to_nhwc, uniform


class Boxes(NamedTuple):
    """A rectangle in each of N images, int64 N: rows `top` to `bottom`, columns `left` to `right`, ends out.

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
        # Rows of the whole batch by number, so that one index_select gathers all that are touched.
        y = torch.arange(height, device=self.top.device)
        return ((y >= self.top[:, None]) & (y < self.bottom[:, None])).flatten().nonzero()[:, 0]

    def columns(self, width: int, channels: int) -> Tensor:
        """Which bytes of a row of W·C the rectangle covers in each image, bool N×(W·C).

        Args:
            width: of the images in pixels.
            channels: bytes a pixel.

        >>> one = torch.ones(1, dtype=torch.int64)
        >>> Boxes(one, one, one, 2 * one).columns(3, 1).tolist()
        [[False, True, False]]
        """
        # Each column as often as there are channels: a mask of bytes, not of pixels.
        x = torch.arange(width, device=self.left.device).repeat_interleave(channels)
        return (x >= self.left[:, None]) & (x < self.right[:, None])

    def area(self, height: int, width: int) -> Tensor:
        """Pixels covered inside the image, int64 N.

        Args:
            height: of the images in pixels.
            width: likewise.

        >>> one = torch.ones(1, dtype=torch.int64)
        >>> Boxes(-one, one, one, 9 * one).area(4, 4).tolist()
        [3]
        """
        tall = (self.bottom.clamp(0, height) - self.top.clamp(0, height)).clamp(min=0)
        return tall * (self.right.clamp(0, width) - self.left.clamp(0, width)).clamp(min=0)


def erase(x: Tensor, boxes: Boxes, *, fill: int = 0) -> Tensor:
    """Set all channels of each image to `fill` inside its box.

    Args:
        x: images, uint8 N×C×H×W.
        boxes: one rectangle an image; an empty one leaves its image as it is.
        fill: grey level, 0 … 255.

    >>> zero = torch.zeros(1, dtype=torch.int64)
    >>> x, boxes = torch.full((1, 1, 1, 3), 9, dtype=torch.uint8), Boxes(zero, zero + 1, zero, zero + 2)
    >>> erase(x, boxes).flatten().tolist()
    [0, 0, 9]
    """
    n, c, h, w = x.shape
    p = to_nhwc(x)
    # to_nhwc copies images that are not channels-last; such a copy may be written to.
    out = p.clone() if p.data_ptr() == x.data_ptr() else p
    rows, touched = out.view(n * h, w * c), boxes.rows(h)
    # Only touched rows move, and bytes are masked with & and |, which torch runs 32 at a time; where() it
    # does not.
    keep = (~boxes.columns(w, c)).to(torch.uint8).mul_(255).index_select(0, touched // h)
    values = rows.index_select(0, touched).bitwise_and_(keep)
    if fill:
        values.bitwise_or_(keep.bitwise_not_().bitwise_and_(fill))
    put_rows(rows, touched, values)
    return to_nchw(out)


def cutout(x: Tensor, rng: torch.Generator, *, size: int | None = None, fill: int = 0) -> Tensor:
    """Cover one square of each image, its centre anywhere, cut off at the edge (DeVries and Taylor 2017).

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of the centres, uniform over all pixels.
        size: side of the square in pixels; a quarter of the shorter side when None, and at least 1.
        fill: grey level, 0 … 255.

    >>> x = torch.full((1, 1, 4, 4), 9, dtype=torch.uint8)
    >>> int((cutout(x, torch.Generator().manual_seed(0), size=1) == 0).sum())
    1
    """
    h, w = x.shape[2:]
    size = max(1, min(h, w) // 4) if size is None else size
    # The centre anywhere, edges included: pixels at the border would be covered less often otherwise.
    top, left = integers(x, rng, h) - size // 2, integers(x, rng, w) - size // 2
    return erase(x, Boxes(top, top + size, left, left + size), fill=fill)


def random_erasing(
    x: Tensor,
    rng: torch.Generator,
    *,
    p: float = 0.5,
    area: tuple[float, float] = (0.02, 0.33),
    ratio: tuple[float, float] = (0.3, 3.3),
    fill: int = 0,
) -> Tensor:
    """Cover a rectangle inside each image with probability `p` (Zhong et al. 2017, table 1).

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of who is covered, where, how much and in what shape.
        p: probability of an image to be covered.
        area: least and greatest fraction of the image, uniform between them.
        ratio: least and greatest height/width, log-uniform between them; sides longer than the image are
            shortened to it, where the paper draws again.
        fill: grey level, 0 … 255.

    >>> x = torch.full((4, 3, 8, 8), 9, dtype=torch.uint8)
    >>> (random_erasing(x, torch.Generator().manual_seed(0), p=1.0) == 0).flatten(1).any(1).tolist()
    [True, True, True, True]
    """
    h, w = x.shape[2:]
    chosen = coin(x, rng, p)
    pixels = uniform(x, rng, area) * (h * w)
    shape = uniform(x, rng, (math.log(ratio[0]), math.log(ratio[1]))).exp()
    # A height of 0 leaves the image as it is, which needs no second path for those not covered.
    tall = (pixels * shape).sqrt().round().clamp(1, h).long() * chosen
    wide = (pixels / shape).sqrt().round().clamp(1, w).long()
    top = (uniform(x, rng, (0, 1)) * (h - tall + 1)).long()
    left = (uniform(x, rng, (0, 1)) * (w - wide + 1)).long()
    return erase(x, Boxes(top, top + tall, left, left + wide), fill=fill)
