"""The operations that automatic policies choose from, dispatched over a batch: every image has its own.

The images are sorted by operation, each operation runs once over its own run of images, and all go back to
their positions: a batch costs about as much as one operation on all of it, whatever the mixture. The five
geometric operations run as one, since an affine map each is all that differs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from convscope.data.pytorch.augmentation.per_image import take, to_nchw, to_nhwc
from convscope.data.pytorch.augmentation.photometric import (
    autocontrast,
    brightness,
    contrast,
    equalize,
    invert,
    posterize,
    saturation,
    sharpness,
    solarize,
)
from convscope.data.pytorch.augmentation.warp import nearest, rotations, shears, shifts

GEOMETRIC_OPS = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")

# A magnitude is a distance from no change; a blend takes a factor, which is 1 there.
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

OPERATIONS = ("identity", *GEOMETRIC_OPS, *COLOUR_OPS)
"""All operations; the index in this tuple says which one an image takes."""

SIGNED_OPS = frozenset({*GEOMETRIC_OPS, "brightness", "colour", "contrast", "sharpness"})
"""Operations whose magnitude may be taken with either sign."""

_IS_SIGNED = torch.tensor([name in SIGNED_OPS for name in OPERATIONS])

MagnitudeRanges = dict[str, tuple[float, float]]


def mild_ranges(height: int, width: int) -> MagnitudeRanges:
    """Magnitudes at level 0 and 1 for AutoAugment and RandAugment (Cubuk et al. 2018 and 2019), by operation.

    Units are slopes, pixels, degrees, factors off 1, bits kept, and the grey level from which values are
    inverted.

    Args:
        height: of the images in pixels.
        width: likewise.

    >>> mild_ranges(331, 331)["translate_x"]
    (0.0, 150.0)
    """
    # Published for 331×331 images: 150 pixels there are the same fraction of any size.
    across, down = 150 * width / 331, 150 * height / 331
    return _ranges(slope=0.3, across=across, down=down, degrees=30.0, factor=0.9, bits=4.0)


def wide_ranges(height: int, width: int) -> MagnitudeRanges:
    """Magnitudes at level 0 and 1 for TrivialAugment, its "wide" space (Müller, Hutter 2021), by operation.

    Shifts go up to 32 pixels there whatever the size; here never beyond half the image, because an image of
    28 or 32 pixels that moves by 32 is black.

    Args:
        height: of the images in pixels.
        width: likewise.

    >>> wide_ranges(224, 224)["translate_x"], wide_ranges(32, 32)["translate_x"]
    ((0.0, 32.0), (0.0, 16.0))
    """
    across, down = min(32.0, width / 2), min(32.0, height / 2)
    return _ranges(slope=0.99, across=across, down=down, degrees=135.0, factor=0.99, bits=2.0)


def _ranges(
    *, slope: float, across: float, down: float, degrees: float, factor: float, bits: float
) -> MagnitudeRanges:
    geometric = dict(zip(GEOMETRIC_OPS, (slope, slope, across, down, degrees), strict=True))
    ends = geometric | dict.fromkeys(("brightness", "colour", "contrast", "sharpness"), factor)
    return {name: (0.0, end) for name, end in ends.items()} | {
        "posterize": (8.0, bits),
        "solarize": (255.0, 0.0),
    }


def magnitudes(which: Tensor, level: Tensor, sign: Tensor, *, ranges: MagnitudeRanges) -> Tensor:
    """How strong each image's operation is to be, in the operation's own unit.

    Args:
        which: indices into OPERATIONS, int64 N.
        level: how far between the ends of the operation's range, 0 … 1, float N.
        sign: 1 or −1, float N; used where an operation goes either way.
        ranges: the ends by operation.

    Returns:
        float N.

    >>> which = torch.tensor([OPERATIONS.index("rotate"), OPERATIONS.index("solarize")])
    >>> level, sign = torch.tensor([0.5, 0.0]), torch.tensor([-1.0, -1.0])
    >>> magnitudes(which, level, sign, ranges=mild_ranges(32, 32)).tolist()
    [-15.0, 255.0]
    """
    # Operations without a range, such as invert, have no strength.
    ends = torch.tensor([ranges.get(name, (0.0, 0.0)) for name in OPERATIONS], device=which.device)[which]
    signed = _IS_SIGNED.to(which.device)[which]
    return torch.lerp(ends[:, 0], ends[:, 1], level) * torch.where(signed, sign, 1.0)


def transform(x: Tensor, which: Tensor, magnitude: Tensor) -> Tensor:
    """Apply to each image its own operation.

    Args:
        x: images, uint8 N×C×H×W.
        which: indices into OPERATIONS, int64 N.
        magnitude: in the operation's own unit, float N; signed.

    >>> x = torch.tensor([[[[10, 20]]], [[[10, 20]]]], dtype=torch.uint8)
    >>> which = torch.tensor([OPERATIONS.index("invert"), OPERATIONS.index("identity")])
    >>> transform(x, which, torch.zeros(2)).flatten().tolist()
    [245, 235, 10, 20]
    """
    # Sorted, each operation has one run of images and is called once, not once an image.
    order = which.argsort()
    images, which, magnitude = take(x, order), which[order], magnitude[order]
    counts = which.bincount(minlength=len(OPERATIONS)).tolist()
    first, mapped = counts[0], sum(counts[1 : 1 + len(GEOMETRIC_OPS)])
    lengths = [first, mapped, *counts[1 + len(GEOMETRIC_OPS) :]]
    operations = [_keep, lambda x, m: _map(x, which[first : first + mapped], m), *COLOUR_OPS.values()]
    runs = zip(operations, torch.split(images, lengths), torch.split(magnitude, lengths), strict=True)
    done = torch.cat([to_nhwc(operation(part, m)) for operation, part, m in runs if len(part)])
    # The inverse of the permutation.
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    return take(to_nchw(done), back)


def _keep(x: Tensor, _: Tensor) -> Tensor:
    return x


def _map(x: Tensor, which: Tensor, magnitude: Tensor) -> Tensor:
    h, w = x.shape[2:]
    # Whole pixels: the nearest one is taken anyway, and truncation treats both signs alike.
    whole = magnitude.trunc()
    # All five maps of every image: six numbers each, beside thousands of pixels.
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
