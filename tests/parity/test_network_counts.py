"""Parameters and multiplications of the famous networks as torchvision builds them, counted by torch."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from convscope.models.pytorch.torchvision_cpu import import_torchvision
from convscope.models.variants.registry import variants

# The names that torchvision has, too; they are the same ones.
TORCHVISION = [
    *("alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
    *("googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"),
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    *("efficientnet_b0", "efficientnet_v2_s", "convnext_tiny"),
]
# Auxiliary heads answer in training alone and are not counted.
EXTRA = {name: {"aux_logits": False, "init_weights": False} for name in ("googlenet", "inception_v3")}


@pytest.mark.parametrize("name", TORCHVISION)
def test_counts_equal_torchvision(name):
    spec = variants[name].spec
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net = import_torchvision().models.get_model(name, weights=None, **EXTRA.get(name, {})).eval()
        net(torch.zeros(1, *spec.input_shape))
    assert sum(p.numel() for p in net.parameters()) == spec.parameters
    assert counter.get_total_flops() == 2 * spec.macs
