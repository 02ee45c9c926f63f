"""Changes of colour: hue, the four-part colour jitter, grey images. Images of one channel have no colour."""

from __future__ import annotations

import torch
from torch import Tensor

from convscope.core.errors import UserError
from convscope.data.pytorch.augmentation.per_image import coin, put, take, to_nchw, to_nhwc, uniform
from convscope.data.pytorch.augmentation.photometric import GREY, as_bytes, mean_grey, saturation_matrix


def hue(x: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of each image; lightness and saturation of HSV stay.

    With V = max, chroma Δ = max − min and hue h in sixths of a circle, each channel of the result is
    V − Δ·clip(min(k, 4 − k), 0, 1), k = (n + h) mod 6, n = 5, 3, 1 for red, green, blue (Smith 1978).

    Args:
        x: images, uint8 N×C×H×W.
        turn: in full circles, float N.

    >>> red = torch.tensor([200, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    >>> hue(red, torch.tensor([1 / 3])).flatten().tolist()
    [0, 200, 0]
    """
    if x.shape[1] == 1:
        return to_nchw(to_nhwc(x).clone())
    # A block of this many pixels keeps its dozen float planes in the cache: 1.0 ms an image at 224×224, not
    # 1.4.
    images = max(1, 65536 // (x.shape[2] * x.shape[3]))
    blocks = zip(torch.split(x, images), torch.split(turn, images), strict=True)
    return to_nchw(torch.cat([to_nhwc(_turned(block, part)) for block, part in blocks]))


def _turned(x: Tensor, turn: Tensor) -> Tensor:
    # Channel by channel: each step then runs over one contiguous plane.
    planes = x.contiguous(memory_format=torch.contiguous_format).float().flatten(2)
    red, green, blue = planes[:, 0:1], planes[:, 1:2], planes[:, 2:3]
    top = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    chroma = top - low
    # From red by yellow and green to cyan h is 1 + (g − r + b − min)/Δ, and minus that on the way back by
    # blue: no where(), which costs thirty times a subtraction. Without chroma the hue does not matter.
    h = (green - red).add_(blue).sub_(low).div_(chroma.clamp(min=1)).add_(1)
    h.mul_((green - blue).add_(0.5).sign_()).add_(turn.view(-1, 1, 1), alpha=6)
    # min(k, 4 − k) is 2 − |k − 2|: with k − 2 brought into ±3 no remainder is needed; it costs eight rounds.
    k = h + torch.tensor([3.0, 1.0, -1.0], device=x.device).view(1, 3, 1)
    k.sub_((k * (1 / 6)).round_(), alpha=6).abs_().neg_().add_(2).clamp_(0, 1)
    turned = torch.addcmul(top, chroma, k, value=-1).round_()
    return turned.to(torch.int16).to(torch.uint8).view(x.shape)


def jitter(x: Tensor, *, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Brightness, then contrast, then saturation: one affine map an image.

    The three are linear in the pixel, so their product is one 3×3 matrix and one offset, and values are cut
    to 0 … 255 once, at the end, where step after step would cut three times.

    Args:
        x: images, uint8 N×C×H×W.
        brightness: one factor ≥ 0 an image, float N.
        contrast: likewise.
        saturation: likewise; without effect on one channel.

    >>> x, one = torch.tensor([[[[10, 20]]]], dtype=torch.uint8), torch.ones(1)
    >>> jitter(x, brightness=2 * one, contrast=one, saturation=one).flatten().tolist()
    [20, 40]
    """
    n, c, h, w = x.shape
    p = to_nhwc(x).float()
    offset = (mean_grey(p) * brightness * (1 - contrast)).view(n, 1, 1)
    gain = (brightness * contrast).view(n, 1, 1)
    pixels = p.view(n, h * w, c)
    if c == 1:
        return as_bytes(pixels.mul_(gain).add_(offset).view(n, h, w, c))
    # baddbmm with an offset that is broadcast takes three times as long as these two.
    return as_bytes(torch.bmm(pixels, gain * saturation_matrix(saturation)).add_(offset).view(n, h, w, c))


def colour_jitter(
    x: Tensor,
    rng: torch.Generator,
    *,
    brightness: float = 0.2,
    contrast: float = 0.2,
    saturation: float = 0.2,
    hue_turn: float = 0.1,
) -> Tensor:
    """Change brightness, contrast, saturation and hue of each image a little, in this order (Howard 2013).

    Args:
        x: images, uint8 N×C×H×W; of one channel, saturation and hue are left out.
        rng: source of the amounts.
        brightness: the factor is uniform in 1 ± this, never below 0.
        contrast: likewise.
        saturation: likewise.
        hue_turn: the hue turns by a fraction of the circle uniform in ± this, at most 0.5.

    >>> x = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    >>> a, b = colour_jitter(x, torch.Generator().manual_seed(0))
    >>> bool((a != b).any())
    True
    """
    if not 0 <= hue_turn <= 0.5:
        raise UserError(
            f"the hue turn of colour_jitter must be between 0 and 0.5 of the circle, got {hue_turn}"
        )
    widths = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
    factors = {name: uniform(x, rng, (max(0.0, 1 - width), 1 + width)) for name, width in widths.items()}
    turn = uniform(x, rng, (-hue_turn, hue_turn))
    out = jitter(x, **factors)
    return hue(out, turn) if hue_turn and x.shape[1] == 3 else out


def greyscale(x: Tensor) -> Tensor:
    """The grey image in every channel: 0.2989 R + 0.587 G + 0.114 B, truncated; one channel stays as it is.

    >>> greyscale(torch.tensor([100, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)).flatten().tolist()
    [29, 29, 29]
    """
    p = to_nhwc(x)
    if x.shape[1] == 1:
        return to_nchw(p.clone())
    luma = torch.tensor(GREY, device=x.device)[:, None].expand(3, 3)
    return as_bytes((p.view(-1, 3).float() @ luma).view(p.shape))


def random_greyscale(x: Tensor, rng: torch.Generator, *, p: float = 0.05) -> Tensor:
    """Take the colour out of each image at random.

    Args:
        x: images, uint8 N×C×H×W.
        rng: source of who loses it.
        p: probability.

    >>> x = torch.tensor([100, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    >>> random_greyscale(x, torch.Generator(), p=1.0).flatten().tolist()
    [29, 29, 29]
    """
    out = to_nhwc(x).clone().permute(0, 3, 1, 2)
    chosen = coin(x, rng, p).nonzero()[:, 0]
    put(out, chosen, greyscale(take(x, chosen)))
    return out
