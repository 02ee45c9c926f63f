"""A PyTorch network as a Predictor: uint8 images in, logits out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from convscope.core.batch_size import max_batch_size
from convscope.core.errors import ShapeError, UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.tensors import network_input
from convscope.models.pytorch.hooks import eval_mode
from convscope.models.pytorch.network import Network


class TorchPredictor:
    """A Predictor over a network: evaluation mode, no gradients, batches that fit in memory, always float32.

    The network's mode is put back after each call, so one that is being trained may be asked in between.
    `preprocess` gives the size, the channels and the statistics; `classes` the names of the K outputs.

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
        """The names of the K outputs."""
        return self._classes

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Logits float32 N×K for prepared images, uint8 N×H×W×C; ShapeError where they are not that."""
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.preprocess.shape:
            height, width, channels = self.preprocess.shape
            needs = f"prepared images, uint8 N×{height}×{width}×{channels}"
            raise ShapeError(f"predict got {images.dtype} {images.shape}; it needs {needs}")
        # Filled batch by batch: logits of all images are small, their maps are not.
        logits = np.empty((len(images), len(self._classes)), np.float32)
        size = max_batch_size(*images.shape[1:3])
        with eval_mode(self.network), torch.inference_mode():
            for start in range(0, len(images), size):
                batch = images[start : start + size]
                logits[start : start + size] = self._logits(batch).float().cpu().numpy()
        return logits

    def _logits(self, images: NDArray[np.uint8]) -> Tensor:
        logits: Tensor = self.network(network_input(images, self.preprocess, device=self.device))
        return logits
