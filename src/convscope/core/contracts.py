"""The contracts between the rooms of the package. Shapes legend, used in every docstring:

    N  images in a batch        C  channels (1 or 3)
    H  height in pixels         W  width in pixels         K  outputs of a network, such as classes

Images are uint8 and N×H×W×C outside a network (as files decode, and channels-last in memory), and float and
N×C×H×W inside one. The Model contract needs tensors, so it lives in `models/pytorch/network.py`; the Bundle
is in `core/bundle.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Dataset(Protocol):
    """Images with a target each: what a network is to say of it.

    A source gives class labels, int64 N, indices into `classes`. `data/targets.py` puts other targets in
    their place, such as float N×3.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K outputs of a network."""

    @property
    def labels(self) -> Sequence[Any] | NDArray[Any]:
        """The targets of all images, without decoding one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Any]:
        """One image, uint8 H×W×C, and its target."""


# isinstance looks for the names alone, not for arguments, shapes or types.
@runtime_checkable
class EncodedDataset(Dataset, Protocol):
    """A Dataset whose images lie encoded (JPEG, PNG, …) in files or table cells and are decoded on demand."""

    def encoded(self, index: int) -> bytes:
        """The bytes of one image as they are stored."""

    def name(self, index: int) -> str:
        """What a person calls it: a path, or `file.parquet#row`."""


@runtime_checkable
class Predictor(Protocol):
    """Anything that predicts: a PyTorch network, later Keras, ONNX or a server."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K outputs."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits N×K for prepared images, uint8 N×H×W×C; normalisation happens inside."""
