"""From bytes to the floats that a network reads, in two passes over the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from convscope.core.errors import ShapeError, UserError


def normalise(
    x: Tensor, mean: Sequence[float], std: Sequence[float], *, dtype: torch.dtype = torch.float32
) -> Tensor:
    """(x/255 − mean) / std for each channel, channels-last in memory.

    Written as x·a + b with a = 1/(255·std) and b = −mean/std, both computed in double precision: one pass
    converts the bytes, one fused pass multiplies and adds. Narrow types are computed in float32 and rounded
    once at the end.

    Args:
        x: images, uint8 N×C×H×W in any memory layout.
        mean: of each channel, for pixels between 0 and 1; C numbers.
        std: of each channel, in the same unit, above 0; C numbers.
        dtype: of the result; float32, float64, bfloat16 or float16.

    Returns:
        `dtype` N×C×H×W on the device of `x`, channels-last.

    Raises:
        ShapeError: the statistics are not C numbers.
        UserError: a standard deviation is not above 0.

    >>> x = torch.tensor([0, 255], dtype=torch.uint8).view(1, 1, 1, 2)
    >>> normalise(x, [0.0], [0.5]).flatten().tolist()
    [0.0, 2.0]
    """
    n, c, h, w = x.shape
    scale, offset = (row.to(x.device) for row in _scale_and_offset(c, mean, std, dtype=dtype))
    # As one row an image, so that the fused pass runs over contiguous memory.
    out = x.permute(0, 2, 3, 1).reshape(n, h * w * c).to(scale.dtype)
    torch.addcmul(offset.repeat(h * w), out, scale.repeat(h * w), out=out)
    return out.to(dtype).view(n, h, w, c).permute(0, 3, 1, 2)


def _scale_and_offset(
    channels: int, mean: Sequence[float], std: Sequence[float], *, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    if not len(mean) == len(std) == channels:
        raise ShapeError(
            f"normalise got images of {channels} channels, {len(mean)} means and {len(std)} standard "
            f"deviations; give {channels} of each"
        )
    # Written so that NaN fails as well.
    if not all(s > 0 for s in std):
        raise UserError(f"the standard deviations to normalise with must be above 0, got {list(std)}")
    m, s = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    # bfloat16 has 8 bits of precision: x·a + b in it would round twice.
    work = torch.promote_types(dtype, torch.float32)
    return (1 / (255 * s)).to(work), (-m / s).to(work)
