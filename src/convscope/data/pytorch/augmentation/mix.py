"""Blend each image with another one of its batch, and the targets by the same fractions: mixup and cutmix.

Targets are floats N×K that can be blended: one-hot classes, or the K numbers of a regression.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from convscope.core.errors import UserError, unknown_name
from convscope.data.pytorch.augmentation.erase import Boxes
from convscope.data.pytorch.augmentation.per_image import integers, put_rows, to_nchw, to_nhwc

Mix = Callable[[Tensor, Tensor, torch.Generator], tuple[Tensor, Tensor]]


def mixup(x: Tensor, targets: Tensor, rng: torch.Generator, *, alpha: float = 0.2) -> tuple[Tensor, Tensor]:
    """λ·x + (1 − λ)·partner for images and targets, λ from Beta(α, α) for each image (Zhang et al. 2017).

    Args:
        x: normalised images, float N×C×H×W.
        targets: float N×K.
        rng: source of the partners (a permutation of the batch) and of λ.
        alpha: above 0; small values leave most images nearly pure. 0.2 is the paper's choice for ImageNet.

    Returns:
        Images and targets of the same shapes, images channels-last.

    >>> x, targets = mixup(torch.ones(4, 3, 2, 2), torch.eye(4), torch.Generator().manual_seed(0))
    >>> bool((targets.sum(1) - 1).abs().max() < 1e-6)
    True
    """
    fraction = _beta(x, rng, alpha)
    return blend(x, targets, _partners(x, rng), fraction=fraction)


def blend(x: Tensor, targets: Tensor, partner: Tensor, *, fraction: Tensor) -> tuple[Tensor, Tensor]:
    """Mixup without chance.

    Args:
        x: images, float N×C×H×W.
        targets: float N×K.
        partner: which image each is blended with, int64 N.
        fraction: how much of itself each image and target keeps, 0 … 1, float N.

    >>> x = torch.tensor([0.0, 8.0]).view(2, 1, 1, 1)
    >>> blend(x, torch.eye(2), torch.tensor([1, 0]), fraction=torch.tensor([0.75, 1.0]))[0].flatten().tolist()
    [2.0, 8.0]
    """
    p = to_nhwc(x)
    blended = p.index_select(0, partner).lerp_(p, fraction.to(x.dtype).view(-1, 1, 1, 1))
    return to_nchw(blended), _blend_targets(targets, partner, fraction)


def cutmix(x: Tensor, targets: Tensor, rng: torch.Generator, *, alpha: float = 1.0) -> tuple[Tensor, Tensor]:
    """A rectangle of each image is that of its partner; targets are blended by area (Yun et al. 2019).

    Height and width are √(1 − λ) of the image's, λ from Beta(α, α) for each image; the centre is anywhere,
    the rectangle is cut off at the edge and the targets follow what is left of it.

    Args:
        x: normalised images, float N×C×H×W.
        targets: float N×K.
        rng: source of the partners, the sizes and the positions.
        alpha: above 0; 1 makes all sizes equally likely, as in the paper.

    >>> x, targets = cutmix(torch.ones(4, 3, 8, 8), torch.eye(4), torch.Generator().manual_seed(0))
    >>> x.shape, bool((targets.sum(1) - 1).abs().max() < 1e-6)
    (torch.Size([4, 3, 8, 8]), True)
    """
    h, w = x.shape[2:]
    # The area of the box is 1 − λ, so its side is the root.
    side = (1 - _beta(x, rng, alpha)).sqrt()
    tall, wide = (side * h).round().long(), (side * w).round().long()
    top, left = integers(x, rng, h) - tall // 2, integers(x, rng, w) - wide // 2
    return transplant(x, targets, _partners(x, rng), boxes=Boxes(top, top + tall, left, left + wide))


def transplant(x: Tensor, targets: Tensor, partner: Tensor, *, boxes: Boxes) -> tuple[Tensor, Tensor]:
    """Cutmix without chance.

    Args:
        x: images, float N×C×H×W.
        targets: float N×K.
        partner: which image fills the box of each, int64 N.
        boxes: one rectangle an image.

    >>> x, zero = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(2, 1, 1, 2), torch.zeros(2, dtype=torch.int64)
    >>> boxes = Boxes(zero, zero + 1, zero, zero + 1)
    >>> x, targets = transplant(x, torch.eye(2), torch.tensor([1, 0]), boxes=boxes)
    >>> x.flatten().tolist(), targets[0].tolist()
    ([3.0, 2.0, 1.0, 4.0], [0.5, 0.5])
    """
    n, c, h, w = x.shape
    source = to_nhwc(x)
    # A batch is its own partner, so it is read while it is written.
    out = source.clone()
    rows, touched = source.view(n * h, w * c), boxes.rows(h)
    image = touched // h
    other = rows.index_select(0, partner.index_select(0, image) * h + touched % h)
    # lerp gives back its ends exactly at 0 and 1, and runs many at a time, where where() does not.
    inside = boxes.columns(w, c).to(x.dtype).index_select(0, image)
    put_rows(out.view(n * h, w * c), touched, rows.index_select(0, touched).lerp_(other, inside))
    # Of what is left inside the image, and not λ: a box at the edge is cut off.
    kept = 1 - boxes.area(h, w).to(targets.dtype) / (h * w)
    return to_nchw(out), _blend_targets(targets, partner, kept)


def either(x: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mixup or cutmix, a fair coin for each batch.

    Args:
        x: normalised images, float N×C×H×W.
        targets: float N×K.
        rng: source of the coin and of everything after it.

    >>> either(torch.ones(4, 3, 8, 8), torch.eye(4), torch.Generator().manual_seed(0))[0].shape
    torch.Size([4, 3, 8, 8])
    """
    heads = bool(torch.randint(2, (1,), generator=rng, device=rng.device))
    return mixup(x, targets, rng) if heads else cutmix(x, targets, rng)


mixes: dict[str, Mix | None] = {"none": None, "mixup": mixup, "cutmix": cutmix, "both": either}


def mix(name: str) -> Mix | None:
    """The blending of that name: none (which is None), mixup, cutmix, or both (one of the two a batch).

    >>> mix("none") is None, mix("cutmix").__name__
    (True, 'cutmix')
    """
    if name not in mixes:
        raise unknown_name("mix", name, mixes)
    return mixes[name]


def _partners(x: Tensor, rng: torch.Generator) -> Tensor:
    # A permutation of the batch costs nothing to load; an image may be its own partner.
    return torch.randperm(len(x), generator=rng, device=rng.device).to(x.device)


def _beta(x: Tensor, rng: torch.Generator, alpha: float) -> Tensor:
    if not alpha > 0:
        raise UserError(
            f"alpha of mixup and cutmix must be above 0, got {alpha}; to switch them off, use mix none"
        )
    # torch draws from a Beta distribution only with its global generator, so NumPy does, seeded from ours.
    seed = int(torch.randint(2**63 - 1, (1,), generator=rng, device=rng.device))
    fractions = np.random.default_rng(seed).beta(alpha, alpha, len(x)).astype(np.float32)
    return torch.from_numpy(fractions).to(x.device)


def _blend_targets(targets: Tensor, partner: Tensor, fraction: Tensor) -> Tensor:
    return targets.index_select(0, partner).lerp(targets, fraction.to(targets.dtype)[:, None])
