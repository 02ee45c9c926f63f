"""PyTorch as an engine: its networks built, loaded, read, asked and summed up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.models.engine import Weights
from convscope.models.pytorch.custom_model import construct, load_custom_model, wrap_custom_model
from convscope.models.pytorch.device import choose_device
from convscope.models.pytorch.network import Network
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.models.references import is_custom_model
from convscope.models.spec import ModelSpec
from convscope.models.summary import Summary
from convscope.models.variants.registry import variants


class TorchEngine:
    """The engine "torch", which keeps the contract of `models/engine.py`."""

    name = "torch"

    def build(self, spec: ModelSpec, model: object = None) -> Network:
        """The network of a spec with fresh weights, from torch's random state.

        `model`: a custom model, which is an nn.Module, a class of them, or "FILE.py:CLASS".

        >>> net = TORCH.build(ModelSpec("small_cnn", input_shape=(1, 28, 28), options={"hidden": 16}))
        >>> net.spec.title, net.spec.options["hidden"], net.spec.options["widths"]
        ('Small CNN', 16, (32, 64))
        """
        if model is None:
            return self._build_variant(spec)
        if isinstance(model, type):
            model = construct(model, spec.name, input_shape=spec.input_shape, classes=spec.classes)
        # Without options: those of a bundle belong to the network that it was trained as.
        return build(model, input_shape=spec.input_shape, classes=spec.classes)

    def _build_variant(self, spec: ModelSpec) -> Network:
        if spec.name not in variants:
            where = f" (trained from {spec.source})" if spec.source else ""
            raise UserError(
                f"the bundle holds weights of your own network {spec.name}{where} and no code; "
                f"give it: load(run, model={spec.name}) or --model my_net.py:{spec.name}"
            )
        # Created anew by its name: a spec from an older bundle may lack options that came later.
        return create(
            spec.name,
            input_shape=spec.input_shape,
            classes=spec.classes,
            options=spec.options,
            head=spec.head,
        )

    def load(self, network: Network, weights: Weights) -> None:
        """Put weights into a network and leave it in evaluation mode; UserError where they do not fit."""
        # load_state_dict copies, so the arrays stay the caller's.
        tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
        try:
            network.load_state_dict(tensors)
        except RuntimeError as error:
            reason = " ".join(str(error).split())  # torch lists names over many lines
            raise UserError(f"the bundle's weights do not fit {network.spec.name}: {reason}") from None
        network.eval()

    def weights(self, network: Network) -> dict[str, NDArray[np.generic]]:
        """Copies of all parameters and running statistics by name, C-contiguous."""
        # On the CPU .numpy() shares memory with the network, which may train on.
        return {name: value.cpu().numpy().copy() for name, value in network.state_dict().items()}

    def predictor(
        self, network: Network, preprocess: Preprocess, names: tuple[str, ...], *, device: str = "auto"
    ) -> TorchPredictor:
        """The network as a Predictor, moved to `device`: auto, cpu, cuda or mps."""
        return TorchPredictor(network, preprocess, names, choose_device(device).device)

    def summarise(self, network: Network, input_shape: Sequence[int] | None = None) -> Summary:
        """Every layer of `network` for images C×H×W; ShapeError where they do not fit."""
        return summarise(network, input_shape)


TORCH = TorchEngine()


def build(
    model: object,
    *,
    input_shape: Sequence[int],
    classes: int,
    options: Mapping[str, Any] | None = None,
) -> Network:
    """The network that `model` means, with fresh weights unless it is a module that has its own.

    Args:
        model: a name of the list, "my_net.py:Net", or an nn.Module.
        input_shape: (C, H, W) of the images.
        classes: K, how many logits the network gives.
        options: for networks of the list alone.

    Raises:
        UserError: for an unknown network or option, and for options of a custom model.
        ShapeError: for images that do not fit.

    >>> build("small_cnn", input_shape=(1, 28, 28), classes=10).spec.name
    'small_cnn'
    """
    if isinstance(model, str) and not is_custom_model(model):
        return create(model, input_shape=input_shape, classes=classes, options=options)
    if options:
        raise UserError(
            f"model.options {sorted(options)} were given; only networks from `convscope summary` have options"
        )
    if isinstance(model, str):
        return load_custom_model(model, input_shape=input_shape, classes=classes)
    return wrap_custom_model(model, input_shape=input_shape, classes=classes)
