"""What the methods ask of an engine to look into its network: NumPy in, NumPy out.

Shapes: N images, C channels and H×W pixels of an image, K classes; a layer gives D feature maps of h×w
positions. `inputs` are normalised images, float N×C×H×W, as `ExplainedModel.inputs` makes them. An engine
computes in the number type of its own weights and leaves its network as it was: mode, weights and hooks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from convscope.core.contracts import Predictor
from convscope.core.errors import UserError

Floats: TypeAlias = NDArray[np.floating[Any]]
Classes: TypeAlias = NDArray[np.int64]
Score: TypeAlias = Literal["logit", "log odds against"]
"""Whose gradient is wanted: the logit y of the target, or log((1 − p) / p) of its probability p."""

PROBES = {
    "convscope.models.pytorch.predictor.TorchPredictor": "convscope.explanation.pytorch.probe.torch_probe"
}
"""By the dotted path of a Predictor's class, the dotted path of the function that makes its Probe.

Both are names, so that an engine is imported only for a network that runs in it.
"""


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """What one pass gives for N images.

    Attributes:
        feature_maps: of the layer, N×D×h×w.
        gradients: of each image's logit with respect to them, of the same shape.
        logits: N×K.
    """

    feature_maps: Floats
    gradients: Floats
    logits: Floats


class Probe(Protocol):
    """The inside of a network. A Predictor without one leaves the methods that need predictions only."""

    def layers(self, *, within: bool = False) -> tuple[str, ...]:
        """The names of the stages in their order; `within` of all layers, those inside of stages, too."""

    def feature_maps(self, inputs: Floats, layers: Sequence[str]) -> tuple[dict[str, Floats], Floats]:
        """The feature maps N×D×h×w of each layer, in the order of the calls, and the logits N×K.

        Of a layer that is called more than once the last call counts. A layer that gives something else than
        feature maps is left out. UserError for a name that is not there, and where no layer gives any.
        """

    def layer_gradients(self, inputs: Floats, targets: Classes, layer: str) -> LayerGradients:
        """The gradients of the logits of `targets`, N, with respect to the feature maps of a layer.

        UserError where the layer gives no feature maps, or no gradient leads from the logits to it.
        """

    def logits(self, inputs: Floats, replaced: tuple[str, Floats] | None = None) -> Floats:
        """The logits N×K; `replaced`: a layer, and the feature maps N×D×h×w that it gives instead."""

    def input_gradients(
        self, inputs: Floats, targets: Classes, *, of: Score = "logit", guided: bool = False
    ) -> Floats:
        """The gradients with respect to the inputs, N×C×H×W, all in one pass.

        `guided`: every ReLU passes back only what is above 0; UserError for a network without ReLU.
        """

    def reinitialised(self, seed: int) -> Predictor | None:
        """The same network with fresh weights drawn by `seed`; None where an engine cannot do that."""


def probe_of(predictor: Predictor) -> Probe | None:
    """The Probe of a Predictor, by its class or one that it is derived from; None where the list has none.

    >>> from convscope.models.pytorch.predictor import TorchPredictor
    >>> from convscope.models.pytorch.zoo import create
    >>> from convscope.data.preparing.preprocess import Preprocess
    >>> net = create("small_cnn", input_shape=(1, 8, 8), classes=2)
    >>> probe_of(TorchPredictor(net, Preprocess(1, 8, 8), ("cat", "dog"))).layers()
    ('stage1', 'stage2')
    """
    # The nearest class decides, so a class that is derived from a listed one may have a Probe of its own.
    for kind in type(predictor).__mro__:
        path = PROBES.get(f"{kind.__module__}.{kind.__qualname__}")
        if path is not None:
            module, _, name = path.rpartition(".")
            make: Callable[[Predictor], Probe] = getattr(import_module(module), name)
            return make(predictor)
    return None


def find_layer(probe: Probe, image: Floats) -> str:
    """The layer for class activation: the last whose feature maps have more than one position.

    That is a stage, or, where each stage has one position only, a layer within one.

    Args:
        probe: the inside of the network.
        image: one input, 1×C×H×W; what it shows does not matter.

    Returns:
        The name of the layer.

    Raises:
        UserError: no layer has feature maps of more than one position.
    """
    for within in (False, True):
        try:
            # One pass for all layers; names alone do not tell the order of the calls.
            found, _ = probe.feature_maps(image, probe.layers(within=within))
        except UserError:
            # Stages of dense layers give none, but a convolution inside of one may.
            continue
        # With one position a map has one colour and says nothing about where.
        wide = [layer for layer, feature_maps in found.items() if feature_maps[0, 0].size > 1]
        if wide:
            return wide[-1]
    raise UserError(
        "no layer of the network gives feature maps N×D×h×w with more than one position, so there is nothing "
        "to show on the image; use integrated_gradients or occlusion"
    )
