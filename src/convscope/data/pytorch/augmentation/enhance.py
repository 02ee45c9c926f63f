"""Blends of an image with a duller form of itself: black, its mean grey, its grey picture, its blur.

Each is factor·image + (1 − factor)·dull, cut to 0 … 255 and truncated: 0 gives the dull form, 1 the image,
more than 1 goes beyond it (Haeberli and Voorhies 1994, "Image processing by interpolation and
extrapolation"). All take images uint8 N×C×H×W and one factor ≥ 0 an image (float N), and return uint8
N×C×H×W, channels-last.
"""

from __future__ import annotations

import torch
from torch import Tensor

from convscope.data.pytorch.augmentation.layout import channels_first, pictures

GREY = (0.2989, 0.587, 0.114)
"""Shares of red, green and blue in luma, as ITU-R BT.601 (1982) has them."""


def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Towards black.

    >>> brightness(torch.tensor([[[[10, 200]]]], dtype=torch.uint8), torch.tensor([1.5])).flatten().tolist()
    [15, 255]
    """
    p = pictures(x)
    return as_bytes(p.float().mul_(factor.view(-1, 1, 1, 1)))


def contrast(x: Tensor, factor: Tensor) -> Tensor:
    """Towards the mean of the image's own grey picture.

    >>> contrast(torch.tensor([[[[0, 100]]]], dtype=torch.uint8), torch.tensor([0.5])).flatten().tolist()
    [25, 75]
    """
    p = pictures(x).float()
    mean = mean_grey(p).mul_(1 - factor).view(-1, 1, 1, 1)
    return as_bytes(p.mul_(factor.view(-1, 1, 1, 1)).add_(mean))


def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Towards the grey picture. An image of one channel is its own grey picture and stays as it is.

    >>> red = torch.tensor([200, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    >>> saturation(red, torch.tensor([0.0])).flatten().tolist()
    [59, 59, 59]
    """
    p = pictures(x)
    n, h, w, c = p.shape
    if c == 1:
        return channels_first(p.clone())
    return as_bytes(torch.bmm(p.view(n, h * w, c).float(), saturation_matrix(factor)).view(n, h, w, c))


def sharpness(x: Tensor, factor: Tensor) -> Tensor:
    """Towards a blur, whose 3×3 kernel is 5 in the middle and 1 around, over 13; pixels at the edge stay.

    >>> x = torch.zeros(1, 1, 3, 3, dtype=torch.uint8)
    >>> x[..., 1, 1] = 130
    >>> int(sharpness(x, torch.tensor([0.0]))[0, 0, 1, 1])
    50
    """
    p = pictures(x)
    n, h, w, c = p.shape
    if min(h, w) < 3:
        return channels_first(p.clone())
    rows = p.view(n, h, w * c).to(torch.int16)
    tall = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    middle = rows[:, 1:-1, c:-c]
    box = tall[..., : -2 * c] + tall[..., c:-c] + tall[..., 2 * c :]
    blur = box.add_(middle, alpha=4).float().mul_(1 / 13).round_()
    out = p.clone()
    blended = torch.lerp(blur, middle.float(), factor.view(-1, 1, 1)).clamp_(0, 255)
    out.view(n, h, w * c)[:, 1:-1, c:-c] = blended.to(torch.int16)
    return channels_first(out)


def mean_grey(p: Tensor) -> Tensor:
    """The mean of each picture's grey form, float N, from pictures float N×H×W×C.

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
    """Pictures float N×H×W×C cut to 0 … 255 and truncated, as uint8 N×C×H×W; `p` is overwritten.

    >>> as_bytes(torch.tensor([-1.0, 1.9, 300.0]).view(1, 1, 3, 1)).flatten().tolist()
    [0, 1, 255]
    """
    # By way of int16, because torch narrows float to uint8 one at a time and the other two steps many at a
    # time.
    return channels_first(p.clamp_(0, 255).to(torch.int16).to(torch.uint8))
