"""What is looked into: a network that answers, with all that its pictures need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.core.contracts import Predictor
from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.normalise import normalise
from convscope.explanation.pytorch.capture import find_layer
from convscope.models.pytorch.shapes import dummy_input

if TYPE_CHECKING:
    from convscope.inference.classifier import Classifier


@dataclass(frozen=True, eq=False)
class ExplainedModel:
    """A Predictor, its preprocessing and, where there is one, the torch network behind it.

    `layer`: the dotted name of the layer whose maps class activation looks at; None finds one. Without a
    `network`, such as behind HTTP, the methods that need only answers are left: occlusion and RISE.

    >>> from convscope.models.pytorch.predictor import TorchPredictor
    >>> from convscope.models.pytorch.zoo import create
    >>> net = create("small_cnn", input_shape=(1, 8, 8), classes=2)
    >>> explained_model = ExplainedModel.of(TorchPredictor(net, Preprocess(1, 8, 8), ("cat", "dog")))
    >>> explained_model.inputs(np.zeros((2, 8, 8, 1), np.uint8)).shape
    torch.Size([2, 1, 8, 8])
    """

    predictor: Predictor
    preprocess: Preprocess
    network: nn.Module | None = None
    layer: str | None = None

    @classmethod
    def of(cls, answering: Classifier | Predictor, *, layer: str | None = None) -> ExplainedModel:
        """The ExplainedModel of a Classifier, as `load` gives it, or of a Predictor that has a
        `preprocess`.
        """
        predictor = getattr(answering, "predictor", answering)
        preprocess = getattr(answering, "preprocess", None)
        if preprocess is None:
            raise UserError(
                f"a {type(answering).__name__} does not say how it prepares images; give a Classifier"
            )
        return cls(predictor, preprocess, getattr(predictor, "network", None), layer)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the K answers."""
        return self.predictor.classes

    def torch_network(self) -> nn.Module:
        """The network; UserError where only its answers are at hand."""
        if self.network is None:
            raise UserError(
                "only the answers of this network are at hand; use occlusion or rise, which need no more"
            )
        return self.network

    @cached_property
    def shown_layer(self) -> str:
        """The layer whose maps class activation looks at: the one that was named, else the one that is
        found.
        """
        if self.layer is not None:
            return self.layer
        height, width, channels = self.preprocess.shape
        network = self.torch_network()
        return find_layer(network, dummy_input(network, (channels, height, width)))

    def inputs(self, images: NDArray[np.uint8]) -> Tensor:
        """Prepared images, uint8 N×H×W×C, as the network gets them: normalised N×C×H×W, of its number
        type.
        """
        like = next((p for p in self.torch_network().parameters() if p.is_floating_point()), torch.empty(0))
        batch = (
            torch.from_numpy(np.require(images, requirements=["C", "W"])).to(like.device).permute(0, 3, 1, 2)
        )
        return normalise(batch, self.preprocess.mean, self.preprocess.std, dtype=like.dtype)
