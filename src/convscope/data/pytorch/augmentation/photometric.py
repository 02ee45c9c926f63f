"""Changes of pixel values alone: blends with a duller image, and tables of grey levels.

A blend is factor·image + (1 − factor)·dull, cut to 0 … 255 and truncated: 0 gives the dull image, 1 the
image, more than 1 goes beyond it (Haeberli and Voorhies 1994, "Image processing by interpolation and
extrapolation"). Dull is black, the mean grey, the grey image or the blur. Tables lead from grey level to grey
level, channel by channel: posterise, solarise, invert, stretch, equalise.

All take images uint8 N×C×H×W, blends one factor ≥ 0 an image (float N), and return uint8 N×C×H×W,
channels-last.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from convscope.data.pytorch.augmentation.per_image import put_rows, to_nchw, to_nhwc

GREY = (0.2989, 0.587, 0.114)
"""Parts of red, green and blue in luma, as ITU-R BT.601 (1982) has them."""


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Towards black.

    Args:
        x: images, uint8 N×C×H×W.
        factor: ≥ 0, float N.

    >>> brightness(torch.tensor([[[[10, 200]]]], dtype=torch.uint8), torch.tensor([1.5])).flatten().tolist()
    [15, 255]
    """
    p = to_nhwc(x)
    return as_bytes(p.float().mul_(factor.view(-1, 1, 1, 1)))


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Towards the mean of the image's own grey form.

    Args:
        x: images, uint8 N×C×H×W.
        factor: ≥ 0, float N.

    >>> contrast(torch.tensor([[[[0, 100]]]], dtype=torch.uint8), torch.tensor([0.5])).flatten().tolist()
    [25, 75]
    """
    p = to_nhwc(x).float()
    mean = mean_grey(p).mul_(1 - factor).view(-1, 1, 1, 1)
    return as_bytes(p.mul_(factor.view(-1, 1, 1, 1)).add_(mean))


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Towards the grey image. An image of one channel is grey already and stays as it is.

    Args:
        x: images, uint8 N×C×H×W.
        factor: ≥ 0, float N.

    >>> red = torch.tensor([200, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    >>> saturation(red, torch.tensor([0.0])).flatten().tolist()
    [59, 59, 59]
    """
    p = to_nhwc(x)
    n, h, w, c = p.shape
    if c == 1:
        return to_nchw(p.clone())
    return as_bytes(torch.bmm(p.view(n, h * w, c).float(), saturation_matrix(factor)).view(n, h, w, c))


def sharpness(x: Tensor, factor: Tensor) -> Tensor:
    """Towards a blur, whose 3×3 kernel is 5 in the middle and 1 around, over 13; pixels at the edge stay.

    Args:
        x: images, uint8 N×C×H×W.
        factor: ≥ 0, float N.

    >>> x = torch.zeros(1, 1, 3, 3, dtype=torch.uint8)
    >>> x[..., 1, 1] = 130
    >>> int(sharpness(x, torch.tensor([0.0]))[0, 0, 1, 1])
    50
    """
    p = to_nhwc(x)
    n, h, w, c = p.shape
    if min(h, w) < 3:
        return to_nchw(p.clone())
    # Sums of nine bytes fit into 16 bits, which are added twice as many at a time as floats.
    rows = p.view(n, h, w * c).to(torch.int16)
    # First down, then across: four additions a pixel and not eight.
    tall = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    middle = rows[:, 1:-1, c:-c]
    box = tall[..., : -2 * c] + tall[..., c:-c] + tall[..., 2 * c :]
    blur = box.add_(middle, alpha=4).float().mul_(1 / 13).round_()
    out = p.clone()
    blended = torch.lerp(blur, middle.float(), factor.view(-1, 1, 1)).clamp_(0, 255)
    out.view(n, h, w * c)[:, 1:-1, c:-c] = blended.to(torch.int16)
    return to_nchw(out)


def mean_grey(p: Tensor) -> Tensor:
    """The mean of each image's grey form, float N, from images float N×H×W×C.

    >>> mean_grey(torch.tensor([0.0, 10.0]).view(1, 1, 2, 1)).tolist()
    [5.0]
    """
    n, h, w, c = p.shape
    if c == 1:
        return p.mean((1, 2, 3))
    # Rows first: long contiguous sums, then a short one over the pixels of a single row.
    return p.view(n, h, w * c).mean(1).view(n, w, c).mean(1) @ p.new_tensor(GREY)


def saturation_matrix(factor: Tensor) -> Tensor:
    """N×3×3 so that pixel · matrix = factor·pixel + (1 − factor)·grey.

    >>> saturation_matrix(torch.tensor([1.0]))[0].tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    grey = factor.new_tensor(GREY)[:, None].expand(3, 3)
    return torch.lerp(grey, torch.eye(3, device=factor.device), factor.view(-1, 1, 1))


def as_bytes(p: Tensor) -> Tensor:
    """Images float N×H×W×C cut to 0 … 255 and truncated, as uint8 N×C×H×W; `p` is overwritten.

    >>> as_bytes(torch.tensor([-1.0, 1.9, 300.0]).view(1, 1, 3, 1)).flatten().tolist()
    [0, 1, 255]
    """
    # By way of int16: torch narrows float to uint8 one at a time, and takes the other two steps many at a
    # time.
    return to_nchw(p.clamp_(0, 255).to(torch.int16).to(torch.uint8))


def posterize(x: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits of each value and clear the rest.

    Args:
        x: images, uint8 N×C×H×W.
        bits: how many to keep, 0 … 8, int N.

    >>> posterize(torch.tensor([[[[255, 100]]]], dtype=torch.uint8), torch.tensor([2])).flatten().tolist()
    [192, 64]
    """
    # 255 less the lower bits: 2 bits keep 192, 8 bits keep all.
    mask = (255 - (1 << (8 - bits.long())) + 1).to(torch.uint8)
    return to_nchw(to_nhwc(x) & mask.view(-1, 1, 1, 1))


def solarize(x: Tensor, threshold: Tensor) -> Tensor:
    """Invert the values from a threshold on.

    Args:
        x: images, uint8 N×C×H×W.
        threshold: 0 … 255, float N.

    >>> solarize(torch.tensor([[[[10, 200]]]], dtype=torch.uint8), torch.tensor([128.0])).flatten().tolist()
    [10, 55]
    """
    p = to_nhwc(x)
    level = threshold.ceil().to(torch.int16).view(-1, 1, 1, 1)
    # max(p, t) − max(p, t − 1) is 1 below t and 0 from there on; less 1, that is the byte 0 or 255 to invert
    # with. torch runs these many at a time, and a comparison with a broadcast threshold one at a time.
    at, under = level.to(torch.uint8), (level - 1).clamp_(min=0).to(torch.uint8)
    return to_nchw(torch.maximum(p, at).sub_(torch.maximum(p, under)).sub_(1).bitwise_xor_(p))


def invert(x: Tensor) -> Tensor:
    """255 − value.

    >>> invert(torch.tensor([[[[0, 200]]]], dtype=torch.uint8)).flatten().tolist()
    [255, 55]
    """
    return to_nchw(to_nhwc(x) ^ 255)


def autocontrast(x: Tensor) -> Tensor:
    """Stretch each channel of each image so that its least value is 0 and its greatest 255; flat ones stay.

    >>> autocontrast(torch.tensor([[[[10, 20, 30]]]], dtype=torch.uint8)).flatten().tolist()
    [0, 127, 255]
    """
    p = to_nhwc(x)
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
    return to_nchw(rows.to(torch.int16).to(torch.uint8).view(n, h, w, c))


def equalize(x: Tensor) -> Tensor:
    """Spread the values of each channel of each image until their histogram is as flat as it gets.

    The table is ⌊(pixels below v + step/2) / step⌋ with step = ⌊(pixels − those of the greatest value) /
    255⌋; where step is 0 the channel stays (the rule of Pillow's ImageOps.equalize).

    >>> x = torch.arange(256).view(1, 1, 16, 16).div(2, rounding_mode="floor").to(torch.uint8)
    >>> torch.equal(equalize(x), x)
    True
    """
    p = to_nhwc(x)
    n, h, w, c = p.shape
    cell = torch.arange(n * c, device=x.device, dtype=torch.int32).view(n, 1, c) * 256
    index = p.view(n, h, w * c).to(torch.int32).add_(cell.repeat(1, 1, w)).flatten()
    counts = torch.bincount(index, minlength=n * c * 256).view(n * c, 256)
    greatest = _over_pixels(p, torch.maximum).view(n * c, 1).long()
    table = _equalizing_table(counts, counts.gather(1, greatest))
    return to_nchw(table.flatten().index_select(0, index).view(n, h, w, c))


def _over_pixels(p: Tensor, extreme: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """The least or greatest value of each channel, N×C, by folding the rows in half: amin takes ten times."""
    n, h, w, c = p.shape
    rows = p.view(n, h, w * c)
    while rows.shape[1] > 1:
        half = (rows.shape[1] + 1) // 2
        rows = extreme(rows[:, :half], rows[:, -half:])
    pixels = rows.view(n, w, c)
    return pixels.amin(1) if extreme is torch.minimum else pixels.amax(1)


def _equalizing_table(counts: Tensor, greatest: Tensor) -> Tensor:
    """M×256 tables, uint8, from M×256 histograms and the count of the greatest value in each, int64 M×1."""
    upto = counts.cumsum(1)
    step = (upto[:, -1:] - greatest).div_(255, rounding_mode="floor")
    # Whole numbers in double precision: the division is exact enough to truncate, and faster than that of
    # int64.
    below = (upto - counts).add_(step // 2).double()
    table = below.div_(step.clamp(min=1)).clamp_(0, 255).to(torch.int16).to(torch.uint8)
    stays = (step == 0)[:, 0].nonzero()[:, 0]
    put_rows(table, stays, torch.arange(256, device=counts.device).to(torch.uint8).repeat(len(stays), 1))
    return table
