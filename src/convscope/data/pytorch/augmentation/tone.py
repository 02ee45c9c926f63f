"""Tables from grey level to grey level, channel by channel: posterise, solarise, invert, stretch, equalise.

All take images uint8 N×C×H×W and return uint8 N×C×H×W, channels-last.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from convscope.data.pytorch.augmentation.layout import channels_first, pictures, put_rows


def posterize(x: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest `bits` of each value (int N, 0 … 8) and clear the rest.

    >>> posterize(torch.tensor([[[[255, 100]]]], dtype=torch.uint8), torch.tensor([2])).flatten().tolist()
    [192, 64]
    """
    mask = (255 - (1 << (8 - bits.long())) + 1).to(torch.uint8)
    return channels_first(pictures(x) & mask.view(-1, 1, 1, 1))


def solarize(x: Tensor, threshold: Tensor) -> Tensor:
    """Invert the values that reach `threshold` (float N, 0 … 255).

    >>> solarize(torch.tensor([[[[10, 200]]]], dtype=torch.uint8), torch.tensor([128.0])).flatten().tolist()
    [10, 55]
    """
    p = pictures(x)
    level = threshold.ceil().to(torch.int16).view(-1, 1, 1, 1)
    # max(p, t) − max(p, t − 1) is 1 below t and 0 from there on; less 1, that is the byte 0 or 255 to invert
    # with. torch runs these many at a time, and a comparison with a broadcast threshold one at a time.
    at, under = level.to(torch.uint8), (level - 1).clamp_(min=0).to(torch.uint8)
    return channels_first(torch.maximum(p, at).sub_(torch.maximum(p, under)).sub_(1).bitwise_xor_(p))


def invert(x: Tensor) -> Tensor:
    """255 − value.

    >>> invert(torch.tensor([[[[0, 200]]]], dtype=torch.uint8)).flatten().tolist()
    [255, 55]
    """
    return channels_first(pictures(x) ^ 255)


def autocontrast(x: Tensor) -> Tensor:
    """Stretch each channel of each image so that its least value is 0 and its greatest 255; a flat channel
    stays.

    >>> autocontrast(torch.tensor([[[[10, 20, 30]]]], dtype=torch.uint8)).flatten().tolist()
    [0, 127, 255]
    """
    p = pictures(x)
    n, h, w, c = p.shape
    low, high = (_over_pixels(p, extreme) for extreme in (torch.minimum, torch.maximum))
    flat = low == high
    span = (high - low).masked_fill_(flat, 255)
    low.masked_fill_(flat, 0)
    # Tiled to whole rows, so that the inner loop is long and contiguous. (value − low)·255 is whole and exact
    # in float32, so that the one division that is rounded cannot turn 255 into 254.
    rows = (
        p.view(n, h, w * c).float().sub_(low.repeat(1, w)[:, None]).mul_(255).div_(span.repeat(1, w)[:, None])
    )
    return channels_first(rows.to(torch.int16).to(torch.uint8).view(n, h, w, c))


def equalize(x: Tensor) -> Tensor:
    """MeanStd the values of each channel of each image until their histogram is as flat as it gets.

    The table is ⌊(pixels below v + step/2) / step⌋ with step = ⌊(pixels − those of the greatest value) /
    255⌋; where step is 0 the channel stays (the rule of Pillow's ImageOps.equalize).

    >>> x = torch.arange(256).view(1, 1, 16, 16).div(2, rounding_mode="floor").to(torch.uint8)
    >>> torch.equal(equalize(x), x)
    True
    """
    p = pictures(x)
    n, h, w, c = p.shape
    cell = torch.arange(n * c, device=x.device, dtype=torch.int32).view(n, 1, c) * 256
    place = p.view(n, h, w * c).to(torch.int32).add_(cell.repeat(1, 1, w)).flatten()
    counts = torch.bincount(place, minlength=n * c * 256).view(n * c, 256)
    greatest = _over_pixels(p, torch.maximum).view(n * c, 1).long()
    table = _equalizing_table(counts, counts.gather(1, greatest))
    return channels_first(table.flatten().index_select(0, place).view(n, h, w, c))


def _over_pixels(p: Tensor, extreme: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The least or greatest value of each channel, N×C, by folding the rows in half: amin and amax take ten
    times.
    """
    n, h, w, c = p.shape
    rows = p.view(n, h, w * c)
    while rows.shape[1] > 1:
        half = (rows.shape[1] + 1) // 2
        rows = extreme(rows[:, :half], rows[:, -half:])
    pixels = rows.view(n, w, c)
    return pixels.amin(1) if extreme is torch.minimum else pixels.amax(1)


def _equalizing_table(counts: Tensor, greatest: Tensor) -> Tensor:
    """M×256 tables, uint8, from M×256 histograms and the count of the greatest value that occurs, int64
    M×1.
    """
    upto = counts.cumsum(1)
    step = (upto[:, -1:] - greatest).div_(255, rounding_mode="floor")
    # Whole numbers in double precision: the division is exact enough to be truncated, and faster than that of
    # int64.
    below = (upto - counts).add_(step // 2).double()
    table = below.div_(step.clamp(min=1)).clamp_(0, 255).to(torch.int16).to(torch.uint8)
    stays = (step == 0)[:, 0].nonzero()[:, 0]
    put_rows(table, stays, torch.arange(256, device=counts.device).to(torch.uint8).repeat(len(stays), 1))
    return table
