"""Images seen through an affine map: rotation, shear, shift, and crops drawn larger.

A map is float N×2×3 and leads from a pixel of the result to where it comes from, in pixels from the image's
centre: (x', y') = (a·x + b·y + c, d·x + e·y + f). What comes from outside the image is black.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from convscope.data.pytorch.augmentation.per_image import to_nchw, to_nhwc, uniform

# From this many pixels on, torch's own resize of bytes, one image a call, beats one grid for the whole batch:
# 110 µs an image beside 550 at 224×224, 48 beside 164 at 128×128, but 22 beside 11 at 32×32.
_LARGE = 64 * 64


def rotations(degrees: Tensor) -> Tensor:
    """The maps that turn images counter-clockwise by `degrees` (float N). float N×2×3.

    >>> rotations(torch.tensor([90.0])).round().int().tolist()
    [[[0, -1, 0], [1, 0, 0]]]
    """
    radians = degrees * (math.pi / 180)
    # Images have y downwards, so a counter-clockwise turn has the sine of the other sign.
    cos, sin, zero = radians.cos(), radians.sin(), torch.zeros_like(degrees)
    return torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)


def shifts(pixels: Tensor, *, across: bool) -> Tensor:
    """The maps that shift images.

    Args:
        pixels: how far, float N.
        across: to the right, otherwise down.

    Returns:
        float N×2×3.

    >>> shifts(torch.tensor([3.0]), across=True).tolist()
    [[[1.0, 0.0, -3.0], [0.0, 1.0, 0.0]]]
    """
    maps = torch.eye(2, 3, device=pixels.device).repeat(len(pixels), 1, 1)
    # Minus: a map leads from the result back to the source.
    maps[:, 0 if across else 1, 2] = -pixels
    return maps


def shears(slope: Tensor, height: int, width: int, *, across: bool) -> Tensor:
    """The maps that shear images: each row goes left, or each column up, by `slope` times its distance.

    Args:
        slope: float N.
        height: of the images in pixels.
        width: likewise.
        across: rows go left by their distance from the top edge, which stays; otherwise columns go up by
            theirs from the left one.

    Returns:
        float N×2×3.

    >>> shears(torch.tensor([0.5]), 2, 2, across=True).tolist()
    [[[1.0, 0.5, 0.5], [0.0, 1.0, 0.0]]]
    """
    maps = torch.eye(2, 3, device=slope.device).repeat(len(slope), 1, 1)
    row, column, middle = (0, 1, height / 2) if across else (1, 0, width / 2)
    maps[:, row, column] = slope
    maps[:, row, 2] = slope * middle
    return maps


def nearest(x: Tensor, maps: Tensor) -> Tensor:
    """Each pixel of the result is the pixel that lies nearest to where it comes from.

    Args:
        x: images, uint8 N×C×H×W.
        maps: float N×2×3.

    >>> shift = torch.tensor([[[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]])
    >>> nearest(torch.tensor([[[[1, 2, 3]]]], dtype=torch.uint8), shift).flatten().tolist()
    [2, 3, 0]
    """
    n, c, h, w = x.shape
    across, down = _sources(maps, h, w)
    # One black pixel all around takes the place of a test for every pixel: what lies further out is drawn
    # onto it.
    padded = F.pad(to_nhwc(x), (0, 0, 1, 1, 1, 1))
    index = down.round_().clamp_(-1, h).mul_(w + 2).add_(across.round_().clamp_(-1, w)).to(torch.int64)
    index += (torch.arange(n, device=x.device) * ((h + 2) * (w + 2)) + (w + 3)).view(n, 1, 1)
    return to_nchw(padded.view(-1, c).index_select(0, index.flatten()).view(n, h, w, c))


def bilinear(x: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Each pixel of the result is blended from the four around where it comes from, and rounded.

    Args:
        x: images, uint8 N×C×H×W.
        across: columns to read at, float, broadcasts to N×H×W; 0 is the middle of the first column.
        down: rows to read at, likewise.

    >>> x = torch.tensor([[[[0, 10]]]], dtype=torch.uint8)
    >>> bilinear(x, torch.tensor([[[0.5, 1.0]]]), torch.tensor([[[0.0]]])).flatten().tolist()
    [5, 10]
    """
    n, _, h, w = x.shape
    # grid_sample counts from −1 to 1, edge to edge, with align_corners off.
    grid = torch.empty(n, h, w, 2, device=x.device)
    grid[..., 0] = across * (2 / w) + (1 / w - 1)
    grid[..., 1] = down * (2 / h) + (1 / h - 1)
    out = F.grid_sample(x.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return to_nchw(to_nhwc(out.round_().to(torch.int16).to(torch.uint8)))


def rotate(x: Tensor, degrees: Tensor) -> Tensor:
    """Turn each image counter-clockwise around its middle, bilinear.

    Args:
        x: images, uint8 N×C×H×W.
        degrees: float N.

    >>> rotate(torch.tensor([[[[1, 2], [3, 4]]]], dtype=torch.uint8), torch.tensor([90.0])).flatten().tolist()
    [2, 4, 1, 3]
    """
    return bilinear(x, *_sources(rotations(degrees), *x.shape[2:]))


def random_rotation(x: Tensor, rng: torch.Generator, *, degrees: float = 15.0) -> Tensor:
    """Turn each image by a random angle, bilinear, black where nothing was.

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of the angles.
        degrees: the angle is uniform in ± this.

    >>> random_rotation(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.Generator(), degrees=30).shape
    torch.Size([2, 3, 8, 8])
    """
    return rotate(x, uniform(x, rng, (-degrees, degrees)))


def crop_to_full(x: Tensor, top: Tensor, left: Tensor, *, height: Tensor, width: Tensor) -> Tensor:
    """Cut a rectangle from each image and draw it as large as the image, bilinear; nothing else shows.

    The rectangle is never larger than the image, so it is only ever enlarged and needs no antialiasing.

    Args:
        x: images, uint8 N×C×H×W.
        top: first row of the rectangles, int64 N.
        left: first column.
        height: rows, 1 … H − top.
        width: columns, 1 … W − left.

    >>> x, one = torch.tensor([[[[1, 2, 3, 4]]]], dtype=torch.uint8), torch.ones(1, dtype=torch.int64)
    >>> crop_to_full(x, 0 * one, 2 * one, height=one, width=2 * one).flatten().tolist()
    [3, 3, 4, 4]
    """
    h, w = x.shape[2:]
    # One call an image would starve a GPU.
    if x.device.type == "cpu" and h * w >= _LARGE:
        return _crop_each(x, torch.stack([top, left, height, width], dim=1))
    return bilinear(x, _enlarged(left, width, w)[:, None, :], _enlarged(top, height, h)[:, :, None])


def resized_crop(
    x: Tensor,
    rng: torch.Generator,
    *,
    scale: tuple[float, float] = (0.6, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Tensor:
    """Cut a random rectangle from each image and draw it as large as the image (Szegedy 2014).

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of the rectangles.
        scale: least and greatest fraction of the image's area, uniform between them.
        ratio: least and greatest width/height, log-uniform between them; a side longer than the image is
            shortened to it, where others draw again.

    >>> resized_crop(torch.zeros(2, 1, 28, 28, dtype=torch.uint8), torch.Generator()).shape
    torch.Size([2, 1, 28, 28])
    """
    h, w = x.shape[2:]
    area = uniform(x, rng, scale) * (h * w)
    shape = uniform(x, rng, (math.log(ratio[0]), math.log(ratio[1]))).exp()
    height = (area / shape).sqrt().round().clamp(1, h).long()
    width = (area * shape).sqrt().round().clamp(1, w).long()
    top = (uniform(x, rng, (0, 1)) * (h - height + 1)).long()
    left = (uniform(x, rng, (0, 1)) * (w - width + 1)).long()
    return crop_to_full(x, top, left, height=height, width=width)


def _crop_each(x: Tensor, boxes: Tensor) -> Tensor:
    out = torch.empty_like(to_nhwc(x)).permute(0, 3, 1, 2)
    for i, (top, left, height, width) in enumerate(boxes.tolist()):
        cut = x[i : i + 1, :, top : top + height, left : left + width]
        out[i : i + 1] = F.interpolate(cut, size=x.shape[2:], mode="bilinear", align_corners=False)
    return out


def _sources(maps: Tensor, h: int, w: int) -> tuple[Tensor, Tensor]:
    """Columns and rows to read at, float N×H×W each, 0 being the middle of the first."""
    # Turning about the middle of the image, which lies between pixels where a side is even.
    middle_x, middle_y = (w - 1) / 2, (h - 1) / 2
    x = torch.arange(w, device=maps.device) - middle_x
    y = (torch.arange(h, device=maps.device) - middle_y)[:, None]
    a, b, c, d, e, f = (column[:, None, None] for column in maps.flatten(1).unbind(1))
    return a * x + (b * y + (c + middle_x)), d * x + (e * y + (f + middle_y))


def _enlarged(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Where `size` pixels laid evenly over each range come from, float N×size, never outside of the range."""
    length, start = length.float()[:, None], start.float()[:, None]
    # Pixel centres, as in align_corners=False.
    inside = (torch.arange(size, device=start.device) + 0.5) * (length / size) - 0.5
    return start + torch.minimum(inside.clamp(min=0), length - 1)
