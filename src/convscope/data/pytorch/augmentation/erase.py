"""Cover a part of each image, so that a network may not rest on one detail: cutout and random erasing."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from convscope.data.pytorch.augmentation.boxes import Boxes
from convscope.data.pytorch.augmentation.layout import channels_first, pictures, put_rows
from convscope.data.pytorch.augmentation.random_params import coin, integers, uniform


def erase(x: Tensor, boxes: Boxes, *, fill: int = 0) -> Tensor:
    """Set all channels of each image to `fill` inside its box.

    Args:
        x: images, uint8 N×C×H×W.
        boxes: one rectangle an image; an empty one leaves its image as it is.
        fill: grey level, 0 … 255.

    >>> zero = torch.zeros(1, dtype=torch.int64)
    >>> erase(torch.full((1, 1, 1, 3), 9, dtype=torch.uint8), Boxes(zero, zero + 1, zero, zero + 2)).flatten().tolist()
    [0, 0, 9]
    """
    n, c, h, w = x.shape
    p = pictures(x)
    out = p.clone() if p.data_ptr() == x.data_ptr() else p
    rows, touched = out.view(n * h, w * c), boxes.rows(h)
    # Only touched rows move, and bytes are masked with & and |, which torch runs 32 at a time; where() it
    # does not.
    keep = (~boxes.columns(w, c)).to(torch.uint8).mul_(255).index_select(0, touched // h)
    values = rows.index_select(0, touched).bitwise_and_(keep)
    if fill:
        values.bitwise_or_(keep.bitwise_not_().bitwise_and_(fill))
    put_rows(rows, touched, values)
    return channels_first(out)


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
        area: least and greatest share of the image, uniform between them.
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
    tall = (pixels * shape).sqrt().round().clamp(1, h).long() * chosen
    wide = (pixels / shape).sqrt().round().clamp(1, w).long()
    top = (uniform(x, rng, (0, 1)) * (h - tall + 1)).long()
    left = (uniform(x, rng, (0, 1)) * (w - wide + 1)).long()
    return erase(x, Boxes(top, top + tall, left, left + wide), fill=fill)
