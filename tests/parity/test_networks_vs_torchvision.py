"""Every network that torchvision has, with torchvision's own weights: the same logits."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.models.pytorch.load_weights import load_weights
from convscope.models.pytorch.torchvision_cpu import import_torchvision
from convscope.models.pytorch.zoo import create, key_maps_of
from convscope.models.variants.registry import variants

BOUND = 1e-6  # max|Δ| / max|reference|, in float64; what differs is the order of sums

# Input sides: dense heads fix 224 pixels. The others average their last map and take any size above the small
# form's.
SIDES = {"alexnet": 224, "vgg": 224, "inception_v3": 160}
SIDE = 96

NAMES = [
    *("alexnet", "vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"),
    *("googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1"),
    *("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"),
    *("densenet121", "densenet161", "densenet169", "densenet201"),
    *("mobilenet_v2", "mobilenet_v3_small", "mobilenet_v3_large"),
    *("shufflenet_v2_x0_5", "shufflenet_v2_x1_0", "shufflenet_v2_x1_5", "shufflenet_v2_x2_0"),
    *("efficientnet_b0", "efficientnet_v2_s", "convnext_tiny"),
]


@pytest.fixture(scope="module")
def torchvision():
    return import_torchvision()


def side_of(name):
    return next((side for start, side in SIDES.items() if name.startswith(start)), SIDE)


def reference(torchvision, name, x):
    """torchvision's network with weights that matter: He's, norms that have seen a batch, layer scale 1.

    Built without numbers, since to draw torchvision's own for a VGG and to throw them away takes seconds.
    """
    torch.manual_seed(0)
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        net = torchvision.models.get_model(name, weights=None, **extra).double().eval()
    net.to_empty(device="cpu")
    for key, value in net.named_parameters():
        if value.ndim == 1:
            nn.init.uniform_(value, -0.1, 0.1)
        elif not key.endswith("layer_scale"):
            nn.init.kaiming_uniform_(value, nonlinearity="relu")
        else:
            nn.init.ones_(value)
    for layer in net.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.LayerNorm)):
            layer.weight.data += 1
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # running statistics become those of the batches seen
            layer.train()  # the norms alone: Inception's auxiliary head takes no image below 299 pixels
    with torch.no_grad():
        if any(isinstance(layer, nn.BatchNorm2d) for layer in net.modules()):
            net(x)
        return net.eval()


def ours(name, weights, x):
    with torch.device("meta"):
        net = create(name, input_shape=tuple(x.shape[1:]), classes=1000).double().eval()
    net.to_empty(device="cpu")
    report = load_weights(net, weights, key_maps_of(name))
    assert report.whole, str(report)
    return net


@pytest.mark.parametrize("name", [name for name in NAMES if name in variants])
def test_the_same_weights_give_the_same_logits(torchvision, name):
    side = side_of(name)
    count = (
        1 if side == 224 else 4
    )  # one has enough places for a norm there, and VGG-19 takes 20 billion steps for it
    x = torch.randn(count, 3, side, side, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    theirs = reference(torchvision, name, x)
    x = x[:2]
    with torch.no_grad():
        expected = theirs(x)
        net = ours(name, theirs.state_dict(), x)
        assert (net(x) - expected).abs().max() <= BOUND * expected.abs().max()
        # Were a kernel turned round, the comparison would have to see it.
        kernel = next(
            p for n, p in reversed(list(net.body.named_parameters())) if p.ndim == 4 and p.shape[2:] != (1, 1)
        )
        kernel.copy_(kernel.flip(2, 3))
        assert (net(x) - expected).abs().max() > 1e-3 * expected.abs().max()


# By network: torchvision's auxiliary head, the layer whose maps it sees, our stage, and their side as
# designed.
AUXILIARY = {
    "googlenet": (("aux1", "inception4a", "stage4a", 14), ("aux2", "inception4d", "stage4d", 14)),
    "inception_v3": (("AuxLogits", "Mixed_6e", "stage6", 17),),
}


@pytest.mark.parametrize("name", list(AUXILIARY))
def test_auxiliary_heads_see_the_same_maps_and_give_the_same_logits(torchvision, name):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, side_of(name), side_of(name), dtype=torch.float64, generator=generator)
    theirs = reference(torchvision, name, x)
    net = create(name).double().eval()
    assert load_weights(net, theirs.state_dict(), key_maps_of(name)).whole
    seen = {}
    for _, layer, *_ in AUXILIARY[name]:
        getattr(theirs, layer).register_forward_hook(
            lambda _m, _x, y, layer=layer: seen.update({layer: y.detach()})
        )
    with torch.no_grad():
        theirs(x)
        features = net.features(x)
        for head, layer, stage, side in AUXILIARY[name]:
            expected = seen[layer]
            assert (features[stage] - expected).abs().max() <= BOUND * expected.abs().max()
            maps = torch.randn(2, expected.shape[1], side, side, dtype=torch.float64, generator=generator)
            expected = getattr(theirs, head)(maps)
            assert (net.auxiliary[stage](maps) - expected).abs().max() <= BOUND * expected.abs().max()
