"""What a figure needs from a PyTorch network: first filters, last features, and receptive fields."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from convscope.core.errors import UserError
from convscope.core.run.progress import Progress
from convscope.core.seeds import generator
from convscope.explanation.probe import Floats
from convscope.explanation.pytorch.capture import find_module, stage_names, watching
from convscope.models.pytorch.hooks import eval_mode, trace
from convscope.models.pytorch.receptive_field import FieldTracer
from convscope.models.receptive_field import Field, Pair


def first_filters(network: nn.Module, image: Tensor) -> tuple[str, Floats]:
    """The name and the filters F×C×h×w, float64, of the first convolution that an image 1×C×H×W comes to.

    UserError where there is none.

    >>> first_filters(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), torch.zeros(1, 1, 8, 8))[1].shape
    (4, 1, 3, 3)
    """
    calls, _ = trace(network, image)
    convolutions = ((call.name, call.layer) for call in calls if isinstance(call.layer, nn.Conv2d))
    name, first = next(convolutions, ("", None))
    if first is None:
        raise UserError(
            f"{type(network).__name__} has no convolution that an image comes to, "
            "so it has no filters to show; try --show embedding"
        )
    return name, first.weight.detach().double().cpu().numpy()


def last_layer(network: nn.Module, image: Tensor) -> str:
    """The last linear layer that an image 1×C×H×W comes to, else the last stage that gives feature maps.

    >>> last_layer(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)), torch.zeros(1, 1, 4, 4))
    '2'
    """
    calls, _ = trace(network, image)
    # The last one that is called, which need not be the last that is defined.
    linear = [call.name for call in calls if isinstance(call.layer, nn.Linear)]
    if linear:
        return linear[-1]
    names = stage_names(network)
    with eval_mode(network), watching(network, names) as watched:
        network(image)
    return next(reversed(watched.require(network, names)))


def last_features(network: nn.Module, x: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Features N×F, float64, and logits N×K for images N×C×H×W.

    Features are what a linear layer gets, its mean over tokens, or the mean of each feature map of a stage.
    """
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: Any, output: Any) -> None:
        kept[:] = [inputs[0] if isinstance(module, nn.Linear) else output.mean((2, 3))]

    # After the layer has run, since its hook gets input and output alike.
    handle = find_module(network, layer).register_forward_hook(keep)
    try:
        with eval_mode(network):
            logits: Tensor = network(x)
    finally:
        handle.remove()
    features = kept[0]
    # Tokens N×T×F are averaged; N×F has one of them.
    return features.reshape(len(x), -1, features.shape[-1]).mean(1).double(), logits


def receptive_fields(network: nn.Module, image: Tensor, layers: Iterable[str]) -> dict[str, Field | None]:
    """The receptive field of each layer with feature maps for an image 1×C×H×W; None: all of the image."""
    # Followed through the operations of one pass, so branches that are added by hand count, too.
    with eval_mode(network), FieldTracer(image) as tracer, watching(network, layers) as watched:
        network(image)
    return {layer: tracer.field(values) for layer, values in watched.feature_maps.items()}


def measured_fields(
    network: nn.Module, x: Tensor, layers: Iterable[str], *, seed: int, progress: Progress | None = None
) -> dict[str, tuple[Pair, Floats]]:
    """The size h×w of each layer's feature maps, and the gradient of their middle position.

    Args:
        network: any module.
        x: images, N×C×H×W.
        layers: stages or dotted paths.
        seed: of the random signs. The gradient is that of Σ ± a over all feature maps at the position,
            because the plain sum is constant where a layer standardises over them.
        progress: called with "measure receptive fields", the layers done, and all.

    Returns:
        By layer, in the order of the calls, the size and the mean |gradient| over images and colours, H×W
        with sum 1, or 0 where nothing reaches the position.

    Raises:
        UserError: no layer gives feature maps.
    """
    names = list(layers)
    # The one place where a graph over all images is kept: each stage needs the same pass.
    x = x.detach().requires_grad_()
    found: dict[str, tuple[Pair, Floats]] = {}
    with eval_mode(network), torch.enable_grad():
        with watching(network, names) as watched:
            network(x)
        for layer, values in watched.require(network, names).items():
            size = (values.shape[2], values.shape[3])
            found[layer] = size, _middle_gradient(values, x, generator(seed, "field", layer))
            if progress:
                progress("measure receptive fields", len(found), len(watched.feature_maps))
    return found


def _middle_gradient(values: Tensor, x: Tensor, draw: np.random.Generator) -> Floats:
    # A sign for each map and image, so that they cannot cancel for all.
    drawn = draw.choice([-1.0, 1.0], values.shape[:2])
    signs = torch.as_tensor(drawn, dtype=values.dtype, device=values.device)
    middle = (values[:, :, values.shape[2] // 2, values.shape[3] // 2] * signs).sum()
    (gradient,) = torch.autograd.grad(middle, x, retain_graph=True, materialize_grads=True)
    mean: Floats = gradient.abs().double().mean((0, 1)).cpu().numpy()
    return mean / mean.sum() if mean.sum() > 0 else mean
