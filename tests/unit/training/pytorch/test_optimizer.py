from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.core.config import RunConfig
from convscope.core.errors import UserError
from convscope.training.pytorch.optimizer import OPTIMIZERS, make_optimizer, parameter_groups


class Mixed(nn.Module):
    """One of everything that should or should not decay."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.batch_norm = nn.BatchNorm2d(4)
        self.layer_norm = nn.LayerNorm([4, 6, 6])
        self.group_norm = nn.GroupNorm(2, 4)
        self.scale = nn.Parameter(torch.ones(4))
        self.linear = nn.Linear(4, 2)


def names_of(network: nn.Module, group: dict) -> set[str]:
    wanted = {id(p) for p in group["params"]}
    return {name for name, p in network.named_parameters() if id(p) in wanted}


def test_decay_is_kept_off_norms_biases_and_scales():
    network = Mixed()
    decayed, kept = parameter_groups(network, 0.01)
    assert decayed["weight_decay"] == 0.01
    assert names_of(network, decayed) == {"conv.weight", "linear.weight"}
    assert kept["weight_decay"] == 0.0
    assert names_of(network, kept) == {n for n, _ in network.named_parameters()} - {
        "conv.weight",
        "linear.weight",
    }


def test_frozen_parameters_are_left_out_and_tied_ones_counted_once():
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    network[1].bias.requires_grad_(False)
    groups = parameter_groups(network, 0.1)
    assert [len(g["params"]) for g in groups] == [1, 1]


def test_a_group_without_parameters_is_left_out():
    assert len(parameter_groups(nn.Linear(2, 2, bias=False), 0.1)) == 1


def test_a_frozen_network_is_refused():
    with pytest.raises(UserError, match="no trainable parameter"):
        make_optimizer(nn.Linear(2, 2).requires_grad_(False), "sgd", 0.1)


def test_an_unknown_name_says_the_nearest():
    with pytest.raises(UserError, match="did you mean 'adamw'"):
        make_optimizer(nn.Linear(2, 2), "adamW2", 0.1)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_configuration_accepts_every_name(name):
    assert RunConfig.from_dict({"train": {"optimizer": name}}).train.optimizer == name


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_ten_steps_equal_the_plain_loop_over_tensors(name, channels_last):
    """The fused kernel against torch's unfused one, in float64: the order of its roundings is its own."""
    torch.manual_seed(0)
    networks = [Mixed().double() for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    if channels_last:
        networks[0].to(memory_format=torch.channels_last)
    fused = make_optimizer(networks[0], name, 0.05, weight_decay=0.1, momentum=0.8)
    options = {"lr": 0.05, "foreach": False} | ({"momentum": 0.8, "nesterov": True} if name == "sgd" else {})
    plain = OPTIMIZERS[name](parameter_groups(networks[1], 0.1), **options)
    assert fused.defaults["fused"]
    for step in range(10):
        for network in networks:
            network.zero_grad()
            generator = torch.Generator().manual_seed(step)
            loss = sum(
                (p * torch.randn(p.shape, generator=generator, dtype=p.dtype)).sum()
                for p in network.parameters()
            )
            # Autograd gives gradients the layout of their weights, which the fused kernel rests on.
            loss.backward()
        fused.step()
        plain.step()
    for a, b in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_sgd_by_hand():
    weight = nn.Linear(1, 1, bias=False)
    nn.init.constant_(weight.weight, 1.0)
    optimizer = make_optimizer(weight, "sgd", 0.1, weight_decay=0.5, momentum=0.9, nesterov=True)
    weight.weight.grad = torch.full((1, 1), 2.0)
    optimizer.step()
    gradient = 2.0 + 0.5 * 1.0
    assert weight.weight.item() == pytest.approx(1.0 - 0.1 * (gradient + 0.9 * gradient))


def test_without_momentum_nesterov_is_the_plain_step():
    optimizer = make_optimizer(nn.Linear(1, 1), "sgd", 0.1, momentum=0.0, nesterov=True)
    assert not optimizer.defaults["nesterov"]


def test_a_rate_set_on_every_group_is_used():
    network = nn.Linear(1, 1)
    optimizer = make_optimizer(network, "sgd", 1.0, momentum=0.0)
    before = [p.detach().clone() for p in network.parameters()]
    for group in optimizer.param_groups:
        group["lr"] = 0.25
    for p in network.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    for old, new in zip(before, network.parameters(), strict=True):
        torch.testing.assert_close(old - 0.25, new.detach())
