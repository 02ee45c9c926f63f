import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.explanation.feature_visualisation.activations import stage_maps, stage_names, watching
from convscope.models.pytorch.custom_model import wrap_custom_model
from convscope.models.pytorch.zoo import create
from rounding import same_but_for_rounding


class Twice(nn.Module):
    """Calls one layer twice, writes in place after it, and gives numbers at the end."""

    def __init__(self):
        super().__init__()
        self.late = nn.Linear(2, 3)
        self.same = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x):
        return self.late(self.same(self.same(x)).relu_().mean((2, 3)))


def test_the_stages_of_a_network_are_what_features_gives():
    torch.manual_seed(0)
    net = create("deeper_cnn", input_shape=(1, 16, 16), classes=3).eval()
    x = torch.randn(2, 1, 16, 16)
    found = stage_maps(net, x)
    with torch.no_grad():
        expected = net.features(x)
    assert list(found) == list(expected) == stage_names(net)
    assert all(same_but_for_rounding(found[name], expected[name]) for name in expected)


def test_any_module_is_watched_by_its_children_and_its_mode_is_put_back():
    module = Twice().train()
    x = torch.randn(2, 2, 5, 5)
    found = stage_maps(module, x)
    assert list(found) == ["same"] and module.training and not found["same"].requires_grad
    # The last call counts, and not what an in-place layer made of it afterwards.
    assert same_but_for_rounding(found["same"], module.same(module.same(x)).detach())
    assert (found["same"] < 0).any()


def test_an_own_network_is_watched_by_its_stages():
    own = wrap_custom_model(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)),
        input_shape=(3, 8, 8),
        classes=2,
    )
    assert list(stage_maps(own, torch.zeros(1, 3, 8, 8))) == ["0", "1"]


def test_gradients_flow_where_they_are_on_and_hooks_go():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    x = torch.randn(1, 1, 4, 4, requires_grad=True)
    with watching(net, ["0"]) as maps:
        answer = net(x)
    assert torch.autograd.grad(maps["0"].sum(), x)[0].abs().sum() > 0 and answer.requires_grad
    assert not net[0]._forward_hooks


def test_what_is_not_there_is_named():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    with pytest.raises(UserError, match="there is no layer '9'"):
        stage_maps(net, torch.zeros(1, 1, 4, 4), ["9"])
    with pytest.raises(UserError, match=r"no layer of Sequential that was asked gives maps N×C×h×w \(1\)"):
        stage_maps(net, torch.zeros(1, 1, 4, 4), ["1"])
    with pytest.raises(UserError, match="it has no layers"):
        stage_maps(nn.Flatten(), torch.zeros(1, 1, 4, 4))
