from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.models.pytorch.hooks import are_maps, eval_mode, forward_hooks, layer_maps, trace


class Calls(nn.Module):
    """Calls its first layer again after its second."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.flat = nn.Conv2d(1, 1, 1), nn.ReLU(inplace=True), nn.Flatten()

    def forward(self, x):
        return self.flat(self.conv(self.relu(self.conv(x))))


def hooks_left(net):
    return any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_trace_sees_each_call_in_order():
    relu = nn.ReLU()
    net = nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.Conv2d(4, 5, 3), relu)
    calls, problem = trace(net, torch.zeros(1, 3, 8, 8))
    assert problem is None
    # A layer that is listed twice has one name, the first.
    assert [call.name for call in calls] == ["0", "1", "2", "1"]
    assert [tuple(call.gave.shape[1:]) for call in calls] == [(4, 6, 6), (4, 6, 6), (5, 4, 4), (5, 4, 4)]


def test_tracing_leaves_no_trace():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    net[1].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    for shape in ((3, 8, 8), (1, 8, 8)):
        trace(net, torch.ones(1, *shape))
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert [m.training for m in net] == [True, False, True]
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_eval_mode_puts_modes_back_after_an_error():
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3))
    net[0].eval()
    with pytest.raises(ZeroDivisionError), eval_mode(net):
        assert not net[1].training and not torch.is_grad_enabled()
        raise ZeroDivisionError
    assert (net[0].training, net[1].training, torch.is_grad_enabled()) == (False, True, True)


def test_what_a_hook_returns_goes_on():
    net = nn.Sequential(nn.Identity(), nn.Flatten())
    with forward_hooks({"first": net[0]}, lambda name, output: output + 1 if name == "first" else None):
        assert net(torch.zeros(1, 1, 1, 2)).tolist() == [[1, 1]]
    assert net(torch.zeros(1, 1, 1, 2)).tolist() == [[0, 0]]


def test_hooks_are_gone_after_an_error():
    net = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ZeroDivisionError), forward_hooks({"0": net[0]}, lambda *_: None):
        assert hooks_left(net)
        raise ZeroDivisionError
    assert not hooks_left(net)


def test_maps_are_those_of_the_last_call_in_the_order_of_the_calls():
    net, x = Calls(), torch.full((1, 1, 2, 2), -1.0)
    nn.init.constant_(net.conv.weight, 2.0)
    nn.init.constant_(net.conv.bias, -0.5)
    with layer_maps(dict(net.named_children())) as maps:
        net(x)
    assert list(maps) == ["relu", "conv"]  # the flattening gives no maps
    assert maps["conv"].unique().tolist() == [-0.5] and maps["relu"].unique().tolist() == [0.0]


def test_maps_are_kept_from_layers_that_write_in_place():
    net = nn.Sequential(nn.Identity(), nn.ReLU(inplace=True))
    with layer_maps({"first": net[0]}) as maps:
        net(torch.full((1, 1, 1, 1), -3.0))
    assert maps["first"].item() == -3


def test_gradients_lead_back_through_maps():
    net = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten())
    with layer_maps({"0": net[0]}) as maps:
        logits = net(torch.ones(1, 1, 2, 2))
    (gradient,) = torch.autograd.grad(logits.sum(), maps["0"])
    assert gradient.tolist() == [[[[1, 1], [1, 1]]]]


@pytest.mark.parametrize(
    ("output", "maps"), [(torch.ones(1, 2, 3, 4), True), (torch.ones(1, 2), False), ((), False)]
)
def test_what_maps_are(output, maps):
    assert are_maps(output) is maps
