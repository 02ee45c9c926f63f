"""The Probe and the Visualiser of a PyTorch network: NumPy arrays in and out, tensors in between."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from convscope.core.contracts import Predictor
from convscope.core.run.progress import Progress
from convscope.core.seeds import derive
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.feature_visualisation.visualiser import Channel, LastFeatures
from convscope.explanation.probe import Classes, Floats, LayerGradients, Score
from convscope.explanation.pytorch import visualise
from convscope.explanation.pytorch.activation_maximisation import maximise
from convscope.explanation.pytorch.capture import (
    capture,
    checked_logits,
    feature_maps_of,
    logits_from,
    stage_names,
)
from convscope.explanation.pytorch.gradients import chosen_logits, input_gradient, log_odds_against
from convscope.models.pytorch.hooks import eval_mode
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.receptive_field import Field, Pair

SCORES = {"logit": chosen_logits, "log odds against": log_odds_against}


def torch_probe(predictor: Predictor) -> TorchProbe:
    """The probe of a TorchPredictor."""
    # The list of probes names this function for that class alone.
    found = cast(TorchPredictor, predictor)
    return TorchProbe(found.network, found)


class TorchProbe:
    """Hooks and autograd on `network`, which is left as it was; `predictor` is the one that it belongs to.

    >>> from convscope.models.pytorch.zoo import create
    >>> probe = TorchProbe(create("small_cnn", input_shape=(1, 8, 8), classes=2))
    >>> feature_maps, logits = probe.feature_maps(np.zeros((3, 1, 8, 8), np.float32), ["stage1"])
    >>> feature_maps["stage1"].shape, logits.shape
    ((3, 32, 4, 4), (3, 2))
    """

    def __init__(self, network: nn.Module, predictor: TorchPredictor | None = None) -> None:
        self.network, self.predictor = network, predictor
        self._last_layer: str | None = None

    def layers(self, *, within: bool = False) -> tuple[str, ...]:
        """The stages of a Network, else the children; `within`: every module."""
        # The network itself has the empty name and is no layer.
        if within:
            return tuple(name for name, _ in self.network.named_modules() if name)
        return tuple(stage_names(self.network))

    def feature_maps(self, inputs: Floats, layers: Sequence[str]) -> tuple[dict[str, Floats], Floats]:
        """See `Probe`."""
        found, logits = feature_maps_of(self.network, self._tensor(inputs), layers)
        return {layer: _array(each) for layer, each in found.items()}, _array(logits)

    def layer_gradients(self, inputs: Floats, targets: Classes, layer: str) -> LayerGradients:
        """See `Probe`."""
        # A caller may be in inference mode, whose tensors take no part in a graph.
        with torch.inference_mode(False):
            found = capture(self.network, self._tensor(inputs), self._classes(targets), layer=layer)
        return LayerGradients(_array(found.feature_maps), _array(found.gradients), _array(found.logits))

    def logits(self, inputs: Floats, replaced: tuple[str, Floats] | None = None) -> Floats:
        """See `Probe`."""
        x = self._tensor(inputs)
        if replaced is not None:
            layer, feature_maps = replaced
            return _array(logits_from(self.network, x, self._tensor(feature_maps), layer=layer))
        with eval_mode(self.network), torch.inference_mode():
            return _array(checked_logits(self.network, self.network(x)))

    def input_gradients(
        self, inputs: Floats, targets: Classes, *, of: Score = "logit", guided: bool = False
    ) -> Floats:
        """See `Probe`."""
        with torch.inference_mode(False):
            x, classes = self._tensor(inputs), self._classes(targets)
            return _array(input_gradient(self.network, x, classes, score=SCORES[of], guided=guided))

    def reinitialised(self, seed: int) -> TorchPredictor | None:
        """The same network with fresh weights, batch norm included; None where there is no predictor.

        Each layer is set back in its own way, `reset_parameters`; weights of layers without one are drawn
        from a normal distribution with the mean and the standard deviation that they have.
        """
        if self.predictor is None:
            return None
        # The predictor keeps its own weights.
        network = copy.deepcopy(self.predictor.network)
        # A training in the same process keeps its random numbers.
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(derive(seed, "unlearned"))
            for layer in network.modules():
                _reinitialise(layer)
        return TorchPredictor(
            network, self.predictor.preprocess, self.predictor.classes, self.predictor.device
        )

    def first_filters(self, inputs: Floats) -> tuple[str, Floats]:
        """See `Visualiser`."""
        return visualise.first_filters(self.network, self._tensor(inputs[:1]))

    def last_features(self, inputs: Floats) -> LastFeatures:
        """See `Visualiser`."""
        x = self._tensor(inputs)
        if self._last_layer is None:  # finding it takes a pass of its own
            self._last_layer = visualise.last_layer(self.network, x[:1])
        features, logits = visualise.last_features(self.network, x, self._last_layer)
        return LastFeatures(self._last_layer, _array(features), _array(logits))

    def receptive_fields(self, inputs: Floats, layers: Iterable[str]) -> dict[str, Field | None]:
        """See `Visualiser`."""
        return visualise.receptive_fields(self.network, self._tensor(inputs[:1]), layers)

    def measured_fields(
        self, inputs: Floats, layers: Sequence[str], *, seed: int, progress: Progress | None
    ) -> dict[str, tuple[Pair, Floats]]:
        """See `Visualiser`."""
        x = self._tensor(inputs)
        return visualise.measured_fields(self.network, x, layers, seed=seed, progress=progress)

    def maximise(
        self,
        channels: Sequence[Channel],
        preprocess: Preprocess,
        *,
        steps: int | None,
        seed: int,
        progress: Progress | None,
    ) -> Floats:
        """See `Visualiser`."""
        # Only the number type and the device are wanted.
        like = self._tensor(np.zeros((1, 1, 1, 1), np.float32))
        return maximise(
            self.network, channels, preprocess, like=like, steps=steps, seed=seed, progress=progress
        )

    def _tensor(self, values: Floats) -> Tensor:
        """N×C×H×W, a copy in the number type, on the device and in the memory format of the weights."""
        tensor = torch.from_numpy(np.require(values, requirements=["C", "W"]))
        like = next((p for p in self.network.parameters() if p.is_floating_point()), tensor)
        # A first layer may write in place, so the caller's array must not be the tensor's memory.
        return tensor.to(like.device, like.dtype, copy=True, memory_format=torch.channels_last)

    def _classes(self, targets: NDArray[Any]) -> Tensor:
        device = next((p.device for p in self.network.parameters()), torch.device("cpu"))
        return torch.from_numpy(np.require(targets, np.int64, ["C", "W"])).to(device)


def _array(tensor: Tensor) -> Floats:
    values: Floats = tensor.detach().cpu().numpy()
    return values


def _reinitialise(layer: nn.Module) -> None:
    # The name that layers of PyTorch agree on, batch norm among them.
    reset = getattr(layer, "reset_parameters", None)
    if callable(reset):
        reset()
        return
    for weights in layer.parameters(recurse=False):
        if weights.is_floating_point() and weights.numel():
            # Kept in scale: a layer scale of 1e-6 drawn from N(0, 1) would drown the network.
            deviation, mean = weights.std(correction=0), weights.mean()
            weights.normal_().mul_(deviation).add_(mean)
