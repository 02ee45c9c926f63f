"""What all operations stand on: random parameters, one for each image, and images moved as blocks of bytes.

Parameters are drawn where the generator lives and then moved: a CPU generator gives the same augmentation on
every device. In memory one image is one run of bytes (channels-last), so images move as blocks and never
pixel by pixel.
"""

from __future__ import annotations

import torch
from torch import Tensor

_WIDEST = 8  # bytes of an int64


def to_nhwc(x: Tensor) -> Tensor:
    """N×C×H×W images as N×H×W×C, contiguous; a view where they are channels-last already.

    >>> to_nhwc(torch.zeros(2, 3, 4, 5, dtype=torch.uint8)).shape
    torch.Size([2, 4, 5, 3])
    """
    return x.permute(0, 2, 3, 1).contiguous()


def to_nchw(p: Tensor) -> Tensor:
    """N×H×W×C images as N×C×H×W; the bytes stay where they are.

    >>> to_nchw(torch.zeros(2, 4, 5, 3, dtype=torch.uint8)).is_contiguous(memory_format=torch.channels_last)
    True
    """
    return p.permute(0, 3, 1, 2)


def take(x: Tensor, index: Tensor) -> Tensor:
    """A new channels-last batch M×C×H×W of some of the images.

    Args:
        x: images, N×C×H×W.
        index: int64 M, 0 to N − 1.

    >>> take(torch.arange(3, dtype=torch.uint8).view(3, 1, 1, 1), torch.tensor([2, 0])).flatten().tolist()
    [2, 0]
    """
    return to_nchw(to_nhwc(x).index_select(0, index))


def put(x: Tensor, index: Tensor, images: Tensor) -> None:
    """Write images into a channels-last batch, in place.

    Args:
        x: the batch, N×C×H×W, channels-last.
        index: int64 M, 0 to N − 1, no number twice.
        images: M×C×H×W.

    >>> x = torch.zeros(3, 1, 1, 1, dtype=torch.uint8)
    >>> put(x, torch.tensor([1]), torch.full((1, 1, 1, 1), 7, dtype=torch.uint8))
    >>> x.flatten().tolist()
    [0, 7, 0]
    """
    put_rows(x.permute(0, 2, 3, 1).flatten(1), index, to_nhwc(images).flatten(1))


def put_rows(rows: Tensor, index: Tensor, values: Tensor) -> None:
    """Write over some rows, in place.

    Bytes are moved as int64 where eight divide a row: index_copy_ works element by element, and a batch of
    32×32 images takes 0.17 µs an image that way, 0.94 µs as bytes.

    Args:
        rows: R×L, contiguous.
        index: int64 M, 0 to R − 1, no number twice.
        values: M×L of the same type.

    >>> rows = torch.zeros(2, 8, dtype=torch.uint8)
    >>> put_rows(rows, torch.tensor([1]), torch.ones(1, 8, dtype=torch.uint8))
    >>> rows.sum(1).tolist()
    [0, 8]
    """
    if not len(index):
        return
    # A view as int64 needs rows that begin and end at a multiple of eight bytes.
    starts = (rows.shape[1], rows.storage_offset(), values.storage_offset())
    if all(start * rows.element_size() % _WIDEST == 0 for start in starts):
        rows, values = rows.view(torch.int64), values.view(torch.int64)
    rows.index_copy_(0, index, values)


def uniform(x: Tensor, rng: torch.Generator, ends: tuple[float, float]) -> Tensor:
    """Random floats, one for each image.

    Args:
        x: N images; the floats go to their device.
        rng: source of the floats.
        ends: uniform from the first to the second.

    Returns:
        float N.

    >>> uniform(torch.zeros(3, 1, 2, 2), torch.Generator().manual_seed(0), (2.0, 2.0)).tolist()
    [2.0, 2.0, 2.0]
    """
    low, high = ends
    # Numbers come in order, so that the first images of a larger batch have the same ones.
    return (torch.rand(len(x), generator=rng, device=rng.device) * (high - low) + low).to(x.device)


def integers(x: Tensor, rng: torch.Generator, high: int) -> Tensor:
    """Random whole numbers, one for each image.

    Args:
        x: N images; the numbers go to their device.
        rng: source of the numbers.
        high: uniform from 0 to this − 1.

    Returns:
        int64 N.

    >>> integers(torch.zeros(3, 1, 2, 2), torch.Generator().manual_seed(0), 1).tolist()
    [0, 0, 0]
    """
    return torch.randint(high, (len(x),), generator=rng, device=rng.device).to(x.device)


def coin(x: Tensor, rng: torch.Generator, p: float) -> Tensor:
    """Random booleans, one for each image.

    Args:
        x: N images; the booleans go to their device.
        rng: source of the booleans.
        p: probability of True.

    Returns:
        bool N.

    >>> coin(torch.zeros(3, 1, 2, 2), torch.Generator().manual_seed(0), 1.0).tolist()
    [True, True, True]
    """
    # Strictly below, so that p = 0 is never and p = 1 always.
    return (torch.rand(len(x), generator=rng, device=rng.device) < p).to(x.device)


def signs(x: Tensor, rng: torch.Generator) -> Tensor:
    """1 or −1 for each image, equally likely.

    Args:
        x: N images; the signs go to their device.
        rng: source of the signs.

    Returns:
        float N.

    >>> set(signs(torch.zeros(64, 1, 1, 1), torch.Generator().manual_seed(0)).tolist()) == {-1.0, 1.0}
    True
    """
    return coin(x, rng, 0.5) * 2.0 - 1.0
