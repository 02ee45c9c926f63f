from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.models.pytorch.families.branched.googlenet import MODULES, auxiliary_head, inception
from convscope.models.pytorch.network import forward_with_aux
from convscope.models.pytorch.summary import summarise
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants
from rounding import same_but_for_rounding


def on_meta(side, **changes):
    with torch.device("meta"):
        return create("googlenet", input_shape=(3, side, side), **changes).eval()


@pytest.mark.slow
def test_maps_at_224_are_those_of_table_1():
    maps = on_meta(224).features(torch.zeros(1, 3, 224, 224, device="meta"))
    assert {name: tuple(m.shape[1:]) for name, m in maps.items()} == {
        "stem": (64, 56, 56),
        "stage2": (192, 56, 56),
        "stage3": (480, 28, 28),
        "stage4a": (512, 14, 14),
        "stage4d": (528, 14, 14),
        "stage4e": (832, 14, 14),
        "stage5": (1024, 7, 7),
    }


def test_22_layers_with_weights_lie_behind_each_other():
    """The longest way through: three convolutions, two in each of nine modules, one linear layer."""
    assert 3 + 2 * len(MODULES) + 1 == 22
    net = on_meta(224)
    assert sum(isinstance(m, nn.Conv2d) for m in net.body.modules()) == 3 + 6 * len(MODULES)


def test_a_module_is_four_branches_side_by_side():
    torch.manual_seed(0)
    module = inception(5, (1, 2, 3, 4, 6, 7)).eval()
    x = torch.randn(2, 5, 6, 6)
    y = module(x)
    assert y.shape == (2, 1 + 3 + 6 + 7, 6, 6)

    def layer(block, x):
        return nn.functional.conv2d(x, block[0].weight, padding=block[0].kernel_size[0] // 2).relu()

    with torch.no_grad():
        for norm in (m for m in module.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.running_var.fill_(1 - norm.eps)  # so that in evaluation a norm changes nothing
        expected = [
            layer(module["branch1"], x),
            layer(module["branch2"][1], layer(module["branch2"][0], x)),
            layer(module["branch3"][1], layer(module["branch3"][0], x)),
            layer(module["branch4"][1], nn.functional.max_pool2d(x, 3, 1, 1)),
        ]
        assert torch.allclose(module(x), torch.cat(expected, 1), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "sides"),
    [(28, [28, 28, 14, 7, 7, 7, 4]), (32, [32, 32, 16, 8, 8, 8, 4]), (64, [64, 64, 32, 16, 16, 16, 8])],
)
def test_the_small_form_steps_by_8(side, sides):
    net = on_meta(side)
    maps = net.features(torch.zeros(1, 3, side, side, device="meta"))
    assert [m.shape[2] for m in maps.values()] == sides
    assert next(row.stride for row in reversed(summarise(net).rows) if row.stride) == (8, 8)


@pytest.mark.slow
def test_auxiliary_heads_are_used_in_training_alone():
    net = create("googlenet", input_shape=(1, 32, 32), classes=5)
    x = torch.randn(3, 1, 32, 32)
    logits, auxiliary = forward_with_aux(net.train(), x)
    assert logits.shape == (3, 5) and [a.shape for a in auxiliary] == [(3, 5), (3, 5)]
    assert list(net.features(x))[-2:] == ["auxiliary.stage4a", "auxiliary.stage4d"]
    logits, auxiliary = forward_with_aux(net.eval(), x)
    assert auxiliary == [] and same_but_for_rounding(logits.detach(), net(x).detach())
    assert list(net.features(x)) == list(net.stages)


@pytest.mark.slow
def test_auxiliary_losses_reach_the_stem_and_leave_what_is_behind_them():
    net = create("googlenet", input_shape=(1, 32, 32), classes=5).train()
    _, (first, _) = forward_with_aux(net, torch.randn(3, 1, 32, 32))
    nn.functional.cross_entropy(first, torch.arange(3)).backward()
    assert net.body.stem[0].weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in [*net.body.stage4d.parameters(), *net.head.parameters()])


@pytest.mark.slow
def test_auxiliary_heads_are_not_counted():
    net = on_meta(224)
    idle = sum(p.numel() for p in net.auxiliary.parameters())
    assert sum(p.numel() for p in net.parameters()) == variants["googlenet"].spec.parameters + idle
    hidden = 128 * 16 * 1024 + 1024 + 1024 * 1000 + 1000
    assert idle == sum(128 * inputs + 2 * 128 + hidden for inputs in (512, 528))


def test_an_auxiliary_head_takes_maps_of_any_size():
    head = auxiliary_head(3)(6, 14, 14).eval()
    for side in (4, 7, 14, 20):
        assert head(torch.randn(2, 6, side, side)).shape == (2, 3)
