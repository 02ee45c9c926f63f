"""All networks by name: their specs, each with the name of the family that builds it in every framework."""

from __future__ import annotations

from dataclasses import dataclass

from convscope.core.registry import Registry
from convscope.models.spec import ModelSpec
from convscope.models.variants import early_imagenet, mobile, residual, textbook


@dataclass(frozen=True)
class Variant:
    """A network of the list: its spec, in the form it was designed in, and the family that builds it."""

    spec: ModelSpec
    family: str


# In the order in which `convscope summary` lists them.
TABLES = {
    "lenet": textbook.LENET,
    "lenet_1998": textbook.LENET_1998,
    "simple_cnn": textbook.SIMPLE_CNN,
    "small_cnn": textbook.SMALL_CNN,
    "deeper_cnn": textbook.DEEPER_CNN,
    "fashion_cnn": textbook.FASHION_CNN,
    "lab_cnn": textbook.LAB_CNN,
    "resnet_cifar": residual.RESNET_CIFAR,
    "resnet": residual.RESNET,
    "preact_resnet": residual.PREACT_RESNET,
    "alexnet": early_imagenet.ALEXNET,
    "vgg": early_imagenet.VGG,
    "googlenet": early_imagenet.GOOGLENET,
    "inception_v3": early_imagenet.INCEPTION_V3,
    "densenet": residual.DENSENET,
    "squeezenet": mobile.SQUEEZENET,
    "mobilenet_v1": mobile.MOBILENET_V1,
    "mobilenet_v2": mobile.MOBILENET_V2,
    "mobilenet_v3": mobile.MOBILENET_V3,
    "shufflenet_v2": mobile.SHUFFLENET_V2,
    "efficientnet": mobile.EFFICIENTNET,
    "convnext": residual.CONVNEXT,
}

variants: Registry[Variant] = Registry("network")

for _family, _specs in TABLES.items():
    for _spec in _specs:
        variants.add(_spec.name)(Variant(_spec, _family))
