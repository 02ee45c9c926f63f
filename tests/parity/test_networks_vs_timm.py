"""Networks that torchvision lacks, with timm's own weights: the same counts and the same logits."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from convscope.models.pytorch.load_weights import load_weights
from convscope.models.pytorch.torchvision_cpu import allow_torchvision
from convscope.models.pytorch.zoo import create, networks

BOUND = 1e-6  # max|Δ| / max|reference|, in float64; what differs is the order of sums
SIDE = 96


def cbam_resnet50(timm):
    """As its authors have it: the layers that weigh the maps have biases."""
    from timm.layers.cbam import CbamModule

    return timm.create_model("resnet50", block_args={"attn_layer": partial(CbamModule, mlp_bias=True)})


MAKE = {
    "resnet18": lambda timm: timm.create_model("resnet18"),
    "seresnet50": lambda timm: timm.create_model("seresnet50"),
    "cbam_resnet50": cbam_resnet50,
    "preact_resnet18": lambda timm: timm.create_model("resnetv2_18"),
}
every = pytest.mark.parametrize("name", [name for name in MAKE if name in networks])


@pytest.fixture(scope="module")
def timm():
    allow_torchvision()
    import timm

    return timm


def seen(net, x):
    """`net` in float64 with weights that matter: norms that have seen a batch."""
    net = net.double().train()
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
    spec = networks[name].spec
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
    fit = load_weights(ours, theirs.state_dict(), networks[name].layouts)
    assert fit.whole, str(fit)
    x = x[:2]
    with torch.no_grad():
        expected = theirs(x)
        assert (ours(x) - expected).abs().max() <= BOUND * expected.abs().max()
        # Were a kernel turned round, the comparison would have to see it, a gate's no less than another.
        kernels = [p for _, p in ours.body.named_parameters() if p.ndim == 4 and p.shape[2:] == (3, 3)]
        gates = [p for n, p in ours.body.named_parameters() if "spatial" in n and p.ndim == 4]
        for kernel in (*kernels[-1:], *gates[-1:]):
            before = ours(x)
            kernel.copy_(kernel.flip(2, 3))
            assert (ours(x) - before).abs().max() > 1e-4 * expected.abs().max()
