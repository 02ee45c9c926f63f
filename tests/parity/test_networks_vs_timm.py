"""Networks that timm has, with timm's own weights: the same logits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.models.pytorch.load_weights import load_weights
from convscope.models.pytorch.torchvision_cpu import allow_torchvision
from convscope.models.pytorch.zoo import create, networks

BOUND = 1e-6  # max|Δ| / max|reference|, in float64; what differs is the order of sums

# By our name: timm's, and how it is asked for.
NAMES = {"mobilenet_v1": "mobilenetv1_100", "mobilenet_v2": "mobilenetv2_100"}


@pytest.fixture(scope="module")
def timm():
    allow_torchvision()
    import timm

    return timm


def reference(timm, name, x):
    """timm's network with weights that matter: norms that have seen a batch, layer scale 1."""
    torch.manual_seed(0)
    net = timm.create_model(name).double()
    for key, value in net.named_parameters():
        if key.endswith("gamma"):
            nn.init.ones_(value)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # running statistics become those of the batches seen
    with torch.no_grad():
        net.train()(x)
    return net.eval()


@pytest.mark.parametrize("name", list(NAMES))
def test_the_same_weights_give_the_same_logits(timm, name):
    x = torch.randn(4, 3, 96, 96, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theirs = reference(timm, NAMES[name], x)
    net = create(name, input_shape=(3, 96, 96), classes=1000).double().eval()
    fit = load_weights(net, theirs.state_dict(), networks[name].layouts)
    assert fit.whole and fit.layout == "timm", str(fit)
    with torch.no_grad():
        expected = theirs(x[:2])
        assert (net(x[:2]) - expected).abs().max() <= BOUND * expected.abs().max()
        # Were a kernel turned round, the comparison would have to see it.
        kernel = next(p for p in reversed(list(net.body.parameters())) if p.ndim == 4 and p.shape[2:] != (1, 1))
        kernel.copy_(kernel.flip(2, 3))
        assert (net(x[:2]) - expected).abs().max() > 1e-3 * expected.abs().max()
