"""How PyTorch builds the networks of the list: a page for each family, and one way from spec to network."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import nn

from convscope.core.errors import UserError
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
    lenet,
    teaching,
    vgg,
)
from convscope.models.pytorch.families.residual import convnext, densenet, preact_resnet, resnet, resnet_cifar
from convscope.models.pytorch.load_weights import KeyMaps
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec
from convscope.models.variants.registry import variants


@dataclass(frozen=True)
class Family:
    """Networks that one page builds from a spec and its options.

    `key_maps`: for each program whose weights fit, such as torchvision, the pairs (pattern, replacement) that
    turn its parameter names into those here, in the order in which they are applied.
    """

    build: Callable[..., Network]
    key_maps: KeyMaps = field(default_factory=dict)


FAMILIES = {
    "lenet": Family(lenet.build_modern),
    "lenet_1998": Family(lenet.build_1998),
    "simple_cnn": Family(teaching.simple_cnn),
    "small_cnn": Family(teaching.small_cnn),
    "deeper_cnn": Family(teaching.deeper_cnn),
    "fashion_cnn": Family(teaching.fashion_cnn),
    "lab_cnn": Family(teaching.lab_cnn),
    "resnet_cifar": Family(resnet_cifar.build, resnet_cifar.KEY_MAPS),
    "resnet": Family(resnet.build, resnet.KEY_MAPS),
    "preact_resnet": Family(preact_resnet.build, preact_resnet.KEY_MAPS),
    "alexnet": Family(alexnet.build, alexnet.KEY_MAPS),
    "vgg": Family(vgg.build, vgg.KEY_MAPS),
    "googlenet": Family(googlenet.build, googlenet.KEY_MAPS),
    "inception_v3": Family(inception_v3.build, inception_v3.KEY_MAPS),
    "densenet": Family(densenet.build, densenet.KEY_MAPS),
    "squeezenet": Family(squeezenet.build, squeezenet.KEY_MAPS),
    "mobilenet_v1": Family(mobilenet_v1.build, mobilenet_v1.KEY_MAPS),
    "mobilenet_v2": Family(mobilenet_v2.build, mobilenet_v2.KEY_MAPS),
    "mobilenet_v3": Family(mobilenet_v3.build, mobilenet_v3.KEY_MAPS),
    "shufflenet_v2": Family(shufflenet_v2.build, shufflenet_v2.KEY_MAPS),
    "efficientnet": Family(efficientnet.build, efficientnet.KEY_MAPS),
    "convnext": Family(convnext.build, convnext.KEY_MAPS),
}


def key_maps_of(name: str) -> KeyMaps:
    """The key maps of a network of the list, by the program whose weights they are for.

    >>> list(key_maps_of("resnet18"))
    ['torchvision', 'timm']
    """
    return FAMILIES[variants[name].family].key_maps


def create(
    name: str,
    *,
    input_shape: Sequence[int] | None = None,
    classes: int | None = None,
    options: Mapping[str, Any] | None = None,
    head: Literal["own", "linear"] = "own",
) -> Network:
    """The network `name` with fresh weights, in the form it was designed in but for what is changed.

    Args:
        name: a network of the list, such as "small_cnn".
        input_shape: (C, H, W) of its images, C 1 or 3.
        classes: K, how many logits it gives.
        options: those of its spec that are to differ.
        head: the network's own, or "linear" (see `ModelSpec`).

    Raises:
        UserError: for an unknown network or option, and for a network too large for memory.
        ShapeError: for an image too small.

    >>> net = create("small_cnn", input_shape=(1, 28, 28), classes=10, options={"widths": [8, 16]})
    >>> net.spec.options["widths"], sum(p.numel() for p in net.parameters())
    ((8, 16), 103042)
    """
    designed = variants[name].spec
    return build_from_spec(
        designed.with_changes(input_shape=input_shape, classes=classes, options=options, head=head)
    )


def build_from_spec(spec: ModelSpec) -> Network:
    """The network of a spec of the list with fresh weights; the torch seed decides all of them.

    Convolutions start from He's normal distribution (He et al. 2015, fan-out: the variance of the gradient
    stays the same from layer to layer) with biases 0; linear layers, and a convolution that gives the logits,
    keep PyTorch's uniform start. Raises what `create` raises.
    """
    family = FAMILIES.get(variants[spec.name].family)
    if family is None:
        raise UserError(f"{spec.name} is not built with PyTorch; take another of `convscope summary`")
    try:
        network = family.build(spec, **spec.options)
    except RuntimeError as problem:
        # "can't allocate memory", "Storage size calculation overflowed": both mean that it is too large.
        if not re.search("memory|overflow", str(problem)):
            raise
        raise UserError(
            f"{spec.name} as it was asked for does not fit into memory; make it narrower or shallower"
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
            # Fan-out: how many outputs a value reaches, k·k pixels of outputs/groups maps (arXiv 1502.01852).
            fan = layer.weight[0, 0].numel() * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, std=(2 / fan) ** 0.5)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
