from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.training.pytorch.ema import Ema


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


def move(net: nn.Module, seed: int) -> None:
    """What an optimiser step and a forward pass do: every weight and every buffer changes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in net.state_dict().values():
            value.add_(torch.randn(value.shape, generator=generator).round().to(value.dtype))


def copy_of(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def assert_equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> None:
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_the_average_is_the_formula_and_buffers_are_copied():
    net = network()
    ema = Ema(net, 0.5)
    expected = {name: p.detach().double().clone() for name, p in net.named_parameters()}
    for step in range(20):
        move(net, step)
        ema.update(net)
        decay = min(0.5, (1 + step) / (10 + step))
        for name, p in net.named_parameters():
            expected[name] = decay * expected[name] + (1 - decay) * p.detach().double()
    state = ema.state()
    for name, value in expected.items():
        torch.testing.assert_close(state[name].double(), value, rtol=1e-5, atol=1e-5)
    for name, buffer in net.named_buffers():
        assert torch.equal(state[name], buffer)


def test_it_equals_torchs_averaged_model():
    """torch.optim.swa_utils with a fixed decay, once ours has warmed up: (1 + 81)/(10 + 81) > 0.9."""
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    net = network()
    ema = Ema(net, 0.9)
    for _ in range(81):
        ema.update(net)
    oracle = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=False)
    oracle.update_parameters(net)  # its first call copies
    for seed in range(10):
        move(net, seed)
        ema.update(net)
        oracle.update_parameters(net)
    for name, value in oracle.module.named_parameters():
        torch.testing.assert_close(ema.state()[name], value.detach(), rtol=1e-5, atol=1e-5)


def test_the_first_updates_forget_quickly():
    net = nn.Linear(1, 1, bias=False)
    nn.init.constant_(net.weight, 0.0)
    ema = Ema(net, 0.999)
    nn.init.constant_(net.weight, 1.0)
    ema.update(net)
    assert ema.state()["weight"].item() == pytest.approx(0.9)


def test_swapped_gives_the_average_and_takes_it_back():
    net = network()
    ema = Ema(net, 0.9)
    move(net, 1)
    ema.update(net)
    before, average = copy_of(net), {name: value.clone() for name, value in ema.state().items()}
    with ema.swapped(net) as inside:
        assert inside is net
        assert_equal(copy_of(net) | {"updates": torch.tensor(1)}, average)
    assert_equal(copy_of(net), before)
    assert_equal(ema.state(), average)


def test_an_error_inside_swapped_still_gives_the_weights_back():
    net = network()
    ema = Ema(net, 0.9)
    move(net, 1)
    before = copy_of(net)
    with pytest.raises(RuntimeError, match="in evaluation"), ema.swapped(net):
        raise RuntimeError("in evaluation")
    assert_equal(copy_of(net), before)


def test_swapped_keeps_the_tensors_that_the_optimiser_holds():
    net = network()
    ema = Ema(net, 0.9)
    held = [p.data_ptr() for p in net.parameters()]
    with ema.swapped(net):
        assert [p.data_ptr() for p in net.parameters()] == held
    assert [p.data_ptr() for p in net.parameters()] == held


def test_the_state_loads_into_the_network():
    net = network()
    ema = Ema(net, 0.9)
    other = network()
    move(other, 3)
    weights = {name: value for name, value in ema.state().items() if name != "updates"}
    other.load_state_dict(weights)
    assert_equal(copy_of(other), weights)


def test_a_restored_average_goes_on_bit_for_bit():
    straight, broken = network(), network()
    a, b = Ema(straight, 0.95), Ema(broken, 0.95)
    for step in range(6):
        if step == 3:
            saved = {name: value.clone() for name, value in b.state().items()}
            b = Ema(broken, 0.95)
            b.restore(saved)
        for net, ema in ((straight, a), (broken, b)):
            move(net, step)
            ema.update(net)
    assert_equal(a.state(), b.state())


def test_tied_weights_and_channels_last_are_kept():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(3, 4, 3))
    net[1].weight = net[0].weight
    net.to(memory_format=torch.channels_last)
    ema = Ema(net, 0.9)
    move(net, 2)
    ema.update(net)
    state = ema.state()
    assert torch.equal(state["0.weight"], state["1.weight"])
    assert state["2.weight"].is_contiguous(memory_format=torch.channels_last)


def test_a_network_without_buffers():
    net = nn.Linear(2, 2)
    ema = Ema(net, 0.9)
    ema.update(net)
    torch.testing.assert_close(ema.state()["weight"], net.weight.detach())


def test_another_networks_state_is_refused():
    ema = Ema(nn.Linear(2, 2), 0.9)
    with pytest.raises(UserError, match=r"'0\.bias' is in one of the two only"):
        ema.restore(Ema(nn.Sequential(nn.Linear(2, 2)), 0.9).state())
    with pytest.raises(UserError, match=r"shape \(3, 2\), not \(2, 2\)"):
        ema.restore(Ema(nn.Linear(2, 3), 0.9).state())


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.1, float("nan")])
def test_a_decay_lies_between_0_and_1(decay):
    with pytest.raises(UserError, match="above 0 and below 1"):
        Ema(nn.Linear(1, 1), decay)
