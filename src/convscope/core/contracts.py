"""The contracts that hold the house together. Shapes legend, used in every docstring of the package:

    N  images in a batch        C  channels (1 or 3)
    H  height in pixels         W  width in pixels         K  classes

Images are uint8 and N×H×W×C outside a network (as files decode, and channels-last in memory), and float and
N×C×H×W inside one. The Model contract needs tensors, so it lives in `models/pytorch/network.py`; the Bundle
is in `core/bundle.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Progress: TypeAlias = Callable[[int, int], None]
"""Called with what is done and the total, as one kind of work goes on."""
Tell: TypeAlias = Callable[[str, int, int], None]
"""The same where there are several kinds: the first word says which."""


@runtime_checkable
class Dataset(Protocol):
    """Images with what is to be said of each. For classification the target is an int, an index into
    `classes`.
    """

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that targets stand for."""

    @property
    def labels(self) -> Sequence[Any] | NDArray[np.int64]:
        """The targets of all images, without decoding one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Any]:
        """One image, uint8 H×W×C, and its target."""


@runtime_checkable
class EncodedDataset(Dataset, Protocol):
    """A Dataset whose images lie encoded (JPEG, PNG, …) in files or table cells; they are decoded when asked
    for.
    """

    def encoded(self, index: int) -> bytes:
        """The bytes of one image as they are stored."""

    def name(self, index: int) -> str:
        """What a person calls it: a path, or `file.parquet#row`."""


@runtime_checkable
class Predictor(Protocol):
    """Anything that answers: a PyTorch network, later Keras, ONNX or a server."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K answers."""

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits N×K for prepared images, uint8 N×H×W×C; normalisation happens inside."""
