"""The one place where arrays become tensors: prepared images, as a network of PyTorch reads them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.normalise import normalise


def to_nchw(images: NDArray[np.uint8], device: torch.device | str = "cpu") -> Tensor:
    """Images as a tensor on `device`, uint8 N×H×W×C → uint8 N×C×H×W, channels last in memory.

    Memory that may be written is shared and not copied. Read-only memory, such as a mapped cache, is copied,
    since torch has no read-only tensors.

    >>> to_nchw(np.zeros((2, 5, 4, 3), np.uint8)).shape
    torch.Size([2, 3, 5, 4])
    """
    batch = torch.from_numpy(np.require(images, requirements=["C", "W"]))
    # A copy that blocks would wait for all work that is queued on the device.
    return batch.to(device, non_blocking=True).permute(0, 3, 1, 2)


def network_input(
    images: NDArray[np.uint8],
    preprocess: Preprocess,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Prepared images as a network gets them: normalised, N×C×H×W, channels last in memory.

    Args:
        images: uint8 N×H×W×C, as `preprocess` prepares them.
        preprocess: whose mean and std normalise them.
        device: where the network is.
        dtype: the number type of its parameters; float32, float64, bfloat16 or float16.

    Returns:
        `dtype` N×C×H×W on `device`.

    Raises:
        ShapeError: the images have another number of channels than the statistics.

    >>> white = np.full((1, 1, 2, 1), 255, np.uint8)
    >>> network_input(white, Preprocess(1, 1, 2, std=(0.5,))).flatten().tolist()
    [2.0, 2.0]
    """
    return normalise(to_nchw(images, device), preprocess.mean, preprocess.std, dtype=dtype)
