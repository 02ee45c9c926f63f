"""The operations that automatic policies choose from, applied to a batch in which every image chose its own.

The images are sorted by what they chose, each operation runs once over its own stretch, and all go back to
their places: a batch costs about as much as one operation on all of it, whatever the mixture. The five moves
are one operation here, since a straight map each is all that differs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from convscope.data.pytorch.augmentation.enhance import brightness, contrast, saturation, sharpness
from convscope.data.pytorch.augmentation.layout import channels_first, pictures, take
from convscope.data.pytorch.augmentation.tone import autocontrast, equalize, invert, posterize, solarize
from convscope.data.pytorch.augmentation.warp import nearest, rotations, shears, shifts

GEOMETRIC_OPS = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")

COLOUR_OPS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": lambda x, m: brightness(x, 1 + m),
    "colour": lambda x, m: saturation(x, 1 + m),
    "contrast": lambda x, m: contrast(x, 1 + m),
    "sharpness": lambda x, m: sharpness(x, 1 + m),
    "posterize": lambda x, m: posterize(x, m.round()),
    "solarize": solarize,
    "autocontrast": lambda x, _: autocontrast(x),
    "equalize": lambda x, _: equalize(x),
    "invert": lambda x, _: invert(x),
}

CHOICES = ("identity", *GEOMETRIC_OPS, *COLOUR_OPS)
"""All operations; an image says which one it takes by the place in this tuple."""

EITHER_WAY = frozenset({*GEOMETRIC_OPS, "brightness", "colour", "contrast", "sharpness"})
"""Operations whose magnitude may be taken with either sign."""

_SIGNED = torch.tensor([name in EITHER_WAY for name in CHOICES])

MagnitudeRanges = dict[str, tuple[float, float]]


def mild_ranges(height: int, width: int) -> MagnitudeRanges:
    """Magnitudes at level 0 and 1 for AutoAugment and RandAugment (Cubuk et al. 2018 and 2019), by operation.

    Slopes, pixels, degrees, factors off 1, bits kept, and the grey level from which values are inverted.

    >>> mild_ranges(331, 331)["translate_x"]
    (0.0, 150.0)
    """
    across, down = 150 * width / 331, 150 * height / 331
    return _ranges(slope=0.3, across=across, down=down, degrees=30.0, factor=0.9, bits=4.0)


def wide_ranges(height: int, width: int) -> MagnitudeRanges:
    """Magnitudes at level 0 and 1 for TrivialAugment, its "wide" space (Müller and Hutter 2021), by
    operation.

    Shifts go up to 32 pixels there whatever the size; here never beyond half the image, because a picture of
    28 or 32 pixels that moves by 32 is black.

    >>> wide_ranges(224, 224)["translate_x"], wide_ranges(32, 32)["translate_x"]
    ((0.0, 32.0), (0.0, 16.0))
    """
    across, down = min(32.0, width / 2), min(32.0, height / 2)
    return _ranges(slope=0.99, across=across, down=down, degrees=135.0, factor=0.99, bits=2.0)


def _ranges(
    *, slope: float, across: float, down: float, degrees: float, factor: float, bits: float
) -> MagnitudeRanges:
    moves = dict(zip(GEOMETRIC_OPS, (slope, slope, across, down, degrees), strict=True))
    ends = moves | dict.fromkeys(("brightness", "colour", "contrast", "sharpness"), factor)
    return {name: (0.0, end) for name, end in ends.items()} | {
        "posterize": (8.0, bits),
        "solarize": (255.0, 0.0),
    }


def magnitudes(which: Tensor, level: Tensor, sign: Tensor, *, reach: MagnitudeRanges) -> Tensor:
    """What each image's operation is to do: from `level` (float N, 0 … 1) to the operation's own unit, float
    N.

    Args:
        which: places in CHOICES, int64 N.
        level: how far between the ends of the operation's reach.
        sign: 1 or −1, float N; used where an operation goes either way.
        reach: the ends by operation.

    >>> which, reach = torch.tensor([CHOICES.index("rotate"), CHOICES.index("solarize")]), mild_ranges(32, 32)
    >>> magnitudes(which, torch.tensor([0.5, 0.0]), torch.tensor([-1.0, -1.0]), reach=reach).tolist()
    [-15.0, 255.0]
    """
    ends = torch.tensor([reach.get(name, (0.0, 0.0)) for name in CHOICES], device=which.device)[which]
    signed = _SIGNED.to(which.device)[which]
    return torch.lerp(ends[:, 0], ends[:, 1], level) * torch.where(signed, sign, 1.0)


def transform(x: Tensor, which: Tensor, magnitude: Tensor) -> Tensor:
    """Apply to each image the operation it chose.

    Args:
        x: images, uint8 N×C×H×W.
        which: places in CHOICES, int64 N.
        magnitude: in the operation's own unit, float N; signed.

    >>> x = torch.tensor([[[[10, 20]]], [[[10, 20]]]], dtype=torch.uint8)
    >>> which = torch.tensor([CHOICES.index("invert"), CHOICES.index("identity")])
    >>> transform(x, which, torch.zeros(2)).flatten().tolist()
    [245, 235, 10, 20]
    """
    order = which.argsort()
    images, which, magnitude = take(x, order), which[order], magnitude[order]
    counts = which.bincount(minlength=len(CHOICES)).tolist()
    moved = sum(counts[1 : 1 + len(GEOMETRIC_OPS)])
    lengths = [counts[0], moved, *counts[1 + len(GEOMETRIC_OPS) :]]
    operations = [_keep, lambda x, m: _move(x, which[counts[0] : counts[0] + moved], m), *COLOUR_OPS.values()]
    stretches = zip(operations, torch.split(images, lengths), torch.split(magnitude, lengths), strict=True)
    done = torch.cat([pictures(operation(part, m)) for operation, part, m in stretches if len(part)])
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    return take(channels_first(done), back)


def _keep(x: Tensor, _: Tensor) -> Tensor:
    return x


def _move(x: Tensor, which: Tensor, magnitude: Tensor) -> Tensor:
    h, w = x.shape[2:]
    whole = magnitude.trunc()
    maps = torch.stack(
        [
            shears(magnitude, h, w, across=True),
            shears(magnitude, h, w, across=False),
            shifts(whole, across=True),
            shifts(whole, across=False),
            rotations(magnitude),
        ]
    )
    return nearest(x, maps[which - 1, torch.arange(len(x), device=x.device)])
