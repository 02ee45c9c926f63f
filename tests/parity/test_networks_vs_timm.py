"""Networks that torchvision lacks, or timm has weights of its own for, with these: the same counts and
logits.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convscope.models.pytorch.load_weights import load_weights
from convscope.models.pytorch.torchvision_cpu import allow_torchvision
from convscope.models.pytorch.zoo import create, key_maps_of
from convscope.models.variants.registry import variants

BOUND = 1e-6  # max|Δ| / max|reference|, in float64; what differs is the order of sums
SIDE = 96


def cbam_resnet50(timm):
    """As its authors have it: the layers that weigh the maps have biases."""
    from timm.layers.cbam import CbamModule

    return timm.create_model("resnet50", block_args={"attn_layer": partial(CbamModule, mlp_bias=True)})


def named(name):
    return lambda timm: timm.create_model(name)


MAKE = {
    "resnet18": named("resnet18"),
    "seresnet50": named("seresnet50"),
    "cbam_resnet50": cbam_resnet50,
    "preact_resnet18": named("resnetv2_18"),
    "mobilenet_v1": named("mobilenetv1_100"),
    "mobilenet_v2": named("mobilenetv2_100"),
    "efficientnet_b0": named("efficientnet_b0"),
    "convnext_tiny": named("convnext_tiny"),
}
every = pytest.mark.parametrize("name", [name for name in MAKE if name in variants])


@pytest.fixture(scope="module")
def timm():
    allow_torchvision()
    import timm

    return timm


def seen(net, x):
    """`net` in float64 with weights that matter: norms that have seen a batch, layer scale 1."""
    net = net.double().train()
    for name, parameter in net.named_parameters():
        if name.endswith("gamma"):
            nn.init.ones_(parameter)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # running statistics become those of the batches seen
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.1)
    with torch.no_grad():
        net(x)
    return net.eval()


@every
def test_counts_equal_those_of_timm(name, timm):
    spec = variants[name].spec
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        net = MAKE[name](timm).eval()
        net(torch.zeros(1, *spec.input_shape))
    assert sum(p.numel() for p in net.parameters()) == spec.parameters
    assert counter.get_total_flops() == 2 * spec.macs


@every
def test_the_same_weights_give_the_same_logits(name, timm):
    torch.manual_seed(0)
    x = torch.randn(4, 3, SIDE, SIDE, dtype=torch.float64)
    theirs = seen(MAKE[name](timm), x)
    ours = create(name, input_shape=(3, SIDE, SIDE), classes=1000).double().eval()
    report = load_weights(ours, theirs.state_dict(), key_maps_of(name))
    assert report.whole, str(report)
    x = x[:2]
    with torch.no_grad():
        expected = theirs(x)
        assert (ours(x) - expected).abs().max() <= BOUND * expected.abs().max()
        # Were a kernel turned round, the comparison would have to see it, a gate's no less than another.
        wide = [(n, p) for n, p in ours.body.named_parameters() if p.ndim == 4 and p.shape[2:] != (1, 1)]
        kernels = [p for n, p in wide if "spatial" not in n]
        gates = [p for n, p in wide if "spatial" in n]
        assert kernels
        for kernel in (*kernels[-1:], *gates[-1:]):
            before = ours(x)
            kernel.copy_(kernel.flip(2, 3))
            assert (ours(x) - before).abs().max() > 1e-4 * expected.abs().max()
