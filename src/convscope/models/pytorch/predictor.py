"""A PyTorch network that answers: uint8 images in, logits out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convscope.core.errors import ShapeError, UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.normalise import normalise
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.shapes import eval_mode

MOST_IMAGES, MOST_PIXELS = 256, 1_000_000
"""In one batch: 256 images of 32×32, 19 of 224×224. Maps of 256 photographs would take a gigabyte a layer."""


def max_batch_size(height: int, width: int) -> int:
    """How many H×W images a network gets at once.

    >>> max_batch_size(28, 28), max_batch_size(224, 224), max_batch_size(3000, 2000)
    (256, 19, 1)
    """
    return max(1, min(MOST_IMAGES, MOST_PIXELS // (height * width)))


class TorchPredictor:
    """A Predictor over a network: evaluation mode, no gradients, batches that fit in memory, always float32.

    The network's mode is put back after each call, so one that is being trained may be asked in between.
    `preprocess` gives the size, the channels and the statistics; `classes` the names of the K answers.

    >>> from convscope.models.pytorch.zoo import create
    >>> net = create("small_cnn", input_shape=(1, 8, 8), classes=2)
    >>> predictor = TorchPredictor(net, Preprocess(1, 8, 8), ("cat", "dog"))
    >>> predictor.predict(np.zeros((3, 8, 8, 1), np.uint8)).shape
    (3, 2)
    """

    def __init__(
        self,
        network: Network,
        preprocess: Preprocess,
        classes: tuple[str, ...],
        device: torch.device | str = "cpu",
    ) -> None:
        if len(classes) != network.spec.classes:
            raise UserError(
                f"{network.spec.name} answers with {network.spec.classes} logits for {len(classes)} class "
                f"names"
            )
        self.device = torch.device(device)
        self.network = network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.preprocess = preprocess
        self._classes = tuple(classes)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K answers."""
        return self._classes

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits float32 N×K for prepared images, uint8 N×H×W×C; ShapeError where they are not that."""
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.preprocess.shape:
            height, width, channels = self.preprocess.shape
            needs = f"prepared images, uint8 N×{height}×{width}×{channels}"
            raise ShapeError(f"predict got {images.dtype} {images.shape}; it needs {needs}")
        logits = np.empty((len(images), len(self._classes)), np.float32)
        size = max_batch_size(*images.shape[1:3])
        with eval_mode(self.network), torch.inference_mode():
            for start in range(0, len(images), size):
                logits[start : start + size] = (
                    self._answer(images[start : start + size]).float().cpu().numpy()
                )
        return logits

    def _answer(self, images: NDArray[np.uint8]) -> Tensor:
        # torch warns about memory that it must not write to, such as a memory-mapped cache; that alone is
        # copied.
        batch = (
            torch.from_numpy(np.require(images, requirements=["C", "W"])).to(self.device).permute(0, 3, 1, 2)
        )
        answer: Tensor = self.network(normalise(batch, self.preprocess.mean, self.preprocess.std))
        return answer
