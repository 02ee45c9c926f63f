"""All networks by name, and the one function that builds them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from convscope.core.errors import UserError
from convscope.core.registry import Registry
from convscope.models.pytorch.families.branched import googlenet, inception_v3
from convscope.models.pytorch.families.mobile import (
    efficientnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    shufflenet_v2,
    squeezenet,
)
from convscope.models.pytorch.families.plain import (
    alexnet,
    deeper_cnn,
    fashion_cnn,
    lab_cnn,
    lenet,
    lenet_1998,
    simple_cnn,
    small_cnn,
    vgg,
)
from convscope.models.pytorch.families.residual import convnext, densenet, preact_resnet, resnet, resnet_cifar
from convscope.models.pytorch.load_weights import KeyMaps
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec

FAMILIES = (
    lenet,
    lenet_1998,
    simple_cnn,
    small_cnn,
    deeper_cnn,
    fashion_cnn,
    lab_cnn,
    resnet_cifar,
    resnet,
    preact_resnet,
    alexnet,
    vgg,
    googlenet,
    inception_v3,
    densenet,
    squeezenet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    shufflenet_v2,
    efficientnet,
    convnext,
)


@dataclass(frozen=True)
class Entry:
    """A network on the list: its spec in the form it was designed in, what builds it from a spec, and its
    family.

    `key_maps`: for each program whose weights fit, such as torchvision, the pairs (pattern, replacement) that
    turn its parameter names into ours, in the order in which they are applied.
    """

    spec: ModelSpec
    build: Callable[..., Network]
    family: str
    key_maps: KeyMaps


networks: Registry[Entry] = Registry("network")

for _family in FAMILIES:
    for _spec in _family.VARIANTS:
        _name = _family.__name__.rpartition(".")[2]
        networks.add(_spec.name)(Entry(_spec, _family.build, _name, getattr(_family, "KEY_MAPS", {})))


def create(
    name: str,
    *,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
    options: Mapping[str, Any] | None = None,
    head: Literal["own", "linear"] = "own",
) -> Network:
    """The network `name` with fresh weights, for images C×H×W and K classes; what is left out is as it was
    designed.

    Convolutions start from He's normal distribution (He et al. 2015, fan-out: the variance of the gradient
    stays the same from layer to layer) with biases 0; linear layers, and a convolution that gives the logits,
    keep PyTorch's uniform start. The torch seed decides all. `head`: the network's own, or "linear" (see
    `ModelSpec`). UserError for an unknown network or option, and for one too large for memory; ShapeError for
    an image too small.

    >>> net = create("small_cnn", input_shape=(1, 28, 28), classes=10, options={"widths": [8, 16]})
    >>> net.spec.options["widths"], sum(p.numel() for p in net.parameters())
    ((8, 16), 103042)
    """
    entry = networks[name]
    spec = entry.spec.with_changes(input_shape=input_shape, classes=classes, options=options, head=head)
    try:
        network = entry.build(spec, **spec.options)
    except RuntimeError as problem:
        if not re.search("memory|overflow", str(problem)):
            raise
        raise UserError(
            f"{name} as it was asked for does not fit into memory; make it narrower or shallower"
        ) from problem
    # Not the head: with the fan-out of few classes SqueezeNet's logits start so large that its loss is 10,
    # not 2.3.
    initialise(network.body)
    initialise(network.auxiliary)
    return network


def initialise(network: nn.Module) -> None:
    """Give every convolution He's normal weights (fan-out) and a bias of 0, from torch's random state.

    Of a grouped convolution the fan is that of one group: a value reaches outputs/groups maps and no more.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            fan = layer.weight[0, 0].numel() * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, std=(2 / fan) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
