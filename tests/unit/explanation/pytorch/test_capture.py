"""Any network gives its maps, its logits and the gradients between them, and is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.explanation.probe import find_layer
from convscope.explanation.pytorch.capture import (
    capture,
    feature_maps_of,
    find_module,
    logits_from,
    stage_names,
    watching,
)
from convscope.explanation.pytorch.probe import TorchProbe
from convscope.models.pytorch.custom_model import wrap_custom_model
from convscope.models.pytorch.torchvision_cpu import import_torchvision
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants
from distinct import DISTINCT
from rounding import same_but_for_rounding


class Functional(nn.Module):
    """ReLU and pooling as functions, in place; a skip; dropout; batch norm."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.out = nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x):
        x = F.relu(self.norm(self.conv1(x)), inplace=True)
        x = F.relu_(self.conv2(x) + x)
        return self.out(F.dropout(F.adaptive_avg_pool2d(x, 1).flatten(1), training=self.training))


class SharedReLU(nn.Module):
    """One ReLU after each convolution, and after the hidden layer, where it gives numbers N×C."""

    def __init__(self, *, inplace):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.relu, self.hidden, self.out = nn.ReLU(inplace), nn.Linear(80, 6), nn.Linear(6, 3)

    def forward(self, x):
        x = self.relu(self.conv2(self.relu(self.conv1(x))))
        return self.out(self.relu(self.hidden(x.flatten(1))))


class Backbone(nn.Module):
    """Frozen as people freeze it: no gradients inside; and a layer whose result nobody uses."""

    def __init__(self):
        super().__init__()
        self.body, self.beside, self.out = nn.Conv2d(1, 4, 3), nn.Conv2d(1, 4, 3), nn.Linear(4, 3)

    def forward(self, x):
        self.beside(x)
        with torch.no_grad():
            maps = self.body(x).mean(dim=(2, 3))
        return self.out(maps)


class Many(nn.Module):
    """A layer of every kind that has no maps."""

    def __init__(self):
        super().__init__()
        self.conv, self.unused = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3)
        self.attention, self.out = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 3)

    def forward(self, x):
        tokens = self.conv(x).flatten(2).transpose(1, 2)
        return self.out(self.attention(tokens, tokens, tokens)[0].mean(dim=1))


def images(count=2, side=8):
    return torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(0))


def sequential(*, inplace=False):
    head = [nn.Flatten(), nn.Linear(80, 3), nn.Softplus()]
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace), nn.Conv2d(4, 5, 3), nn.ReLU(inplace), *head)


NETWORKS = {
    "functional": (Functional, "conv2"),
    "in place": (lambda: sequential(inplace=True), "3"),
    "shared": (lambda: SharedReLU(inplace=False), "relu"),
    "shared in place": (lambda: SharedReLU(inplace=True), "relu"),
    "attention": (Many, "conv"),
}


@pytest.fixture(params=NETWORKS)
def case(request):
    torch.manual_seed(0)
    make, layer = NETWORKS[request.param]
    return make().double(), layer


def maps_of(network, x, *, layer):
    feature_maps, logits = feature_maps_of(network, x, [layer])
    return feature_maps[layer], logits


def stage_maps(network, x, layers=None):
    return feature_maps_of(network, x, stage_names(network) if layers is None else layers)[0]


def layer_of(network, x):
    return find_layer(TorchProbe(network), x[:1].numpy())


def gradients_by_differences(network, x, targets, layer, *, step=1e-6):
    """∂logit/∂A from two passes for each number of the maps: slow, and of another kind."""
    maps, _ = maps_of(network, x, layer=layer)
    gradients = torch.empty_like(maps)
    for at in range(maps[0].numel()):
        moved = [maps.clone() for _ in (0, 1)]
        for one, sign in zip(moved, (1, -1), strict=True):
            one.view(len(x), -1)[:, at] += sign * step
        up, down = (
            logits_from(network, x, one, layer=layer).gather(1, targets[:, None])[:, 0] for one in moved
        )
        gradients.view(len(x), -1)[:, at] = (up - down) / (2 * step)
    return gradients


def test_the_gradients_are_those_that_differences_measure(case):
    network, layer = case
    x, targets = images().double(), torch.tensor([0, 2])
    assert layer_of(network, x) == layer
    found = capture(network, x, targets, layer=layer)
    expected = gradients_by_differences(network, x, targets, layer)
    assert (
        found.gradients - expected
    ).abs().max() <= 1e-7 * expected.abs().max() and expected.abs().max() > 0
    # Another class has other gradients, or the comparison would show nothing.
    other = capture(network, x, (targets + 1) % 3, layer=layer).gradients
    assert (other - expected).abs().max() > 1e-3 * expected.abs().max()


def test_maps_and_logits_are_those_of_the_network(case):
    network, layer = case
    x = images().double()
    expected = network.eval()(x).detach()
    found = capture(network, x, torch.tensor([1, 1]), layer=layer)
    maps, logits = maps_of(network, x, layer=layer)
    assert (
        same_but_for_rounding(found.logits, expected)
        and same_but_for_rounding(logits, expected)
        and same_but_for_rounding(maps, found.feature_maps)
    )
    assert torch.allclose(logits_from(network, x, maps, layer=layer), expected, rtol=1e-12)
    assert not (
        found.feature_maps.requires_grad or found.logits.requires_grad or found.gradients.requires_grad
    )


def test_the_network_is_left_as_it_was(case):
    network, layer = case
    network.train()
    next(network.parameters()).requires_grad_(False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with torch.no_grad():
        capture(network, images().double(), torch.tensor([0, 0]), layer=layer)
        assert not torch.is_grad_enabled()
    capture(network, images().double(), torch.tensor([0, 0]), layer=layer)
    assert torch.is_grad_enabled() and all(m.training for m in network.modules())
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert [p.requires_grad for p in network.parameters()] == [False] + [True] * (
        len(list(network.parameters())) - 1
    )
    assert all(p.grad is None for p in network.parameters())
    assert not any(m._forward_hooks for m in network.modules())


def test_training_mode_and_frozen_parameters_change_no_gradient():
    torch.manual_seed(0)
    network = Functional()
    x, targets = images(), torch.tensor([0, 1])
    network.norm(network.conv1(10 + images(16)))  # so that the batch's own statistics would be others
    expected = capture(network.eval(), x, targets, layer="conv2")
    for parameter in network.train().parameters():
        parameter.requires_grad_(False)
    found = capture(network, x, targets, layer="conv2")
    assert same_but_for_rounding(found.gradients, expected.gradients)
    assert same_but_for_rounding(found.feature_maps, expected.feature_maps)


def test_hooks_are_gone_after_an_error():
    network = sequential()
    with pytest.raises(RuntimeError):
        layer_of(network, torch.zeros(1, 2, 8, 8))
    with pytest.raises(UserError):
        capture(network, images(), torch.tensor([0, 0]), layer="5")
    assert not any(m._forward_hooks for m in network.modules())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_number_of_images(count):
    found = capture(sequential(), images(count), torch.zeros(count, dtype=torch.long), layer="3")
    assert found.feature_maps.shape == found.gradients.shape == (count, 5, 4, 4) and found.logits.shape == (
        count,
        3,
    )


@pytest.mark.parametrize(
    ("make", "layer", "words"),
    [
        (sequential, "9", "there is no layer '9'"),
        (sequential, "", "there is no layer ''"),
        (Functional, "conv3", "there is no layer 'conv3'; did you mean 'conv[12]'"),
        (
            sequential,
            "5",
            r"layer '5' gives numbers 2×3 and no feature maps N×D×h×w; name an earlier",
        ),
        (Many, "attention", "layer 'attention' gives a tuple and no feature maps"),
        (Many, "unused", "layer 'unused' was not called for these images; name"),
        (Backbone, "beside", "no gradient leads from the logits to layer 'beside'"),
        (
            Backbone,
            "body",
            "no gradient leads from the logits to layer 'body': .* use score_cam or eigen_cam",
        ),
    ],
)
def test_a_layer_that_will_not_do_is_told(make, layer, words):
    with pytest.raises(UserError, match=words):
        capture(make(), images(), torch.tensor([0, 0]), layer=layer)


def test_frozen_layers_beside_the_way_are_told_too():
    network = Backbone().requires_grad_(False)
    with pytest.raises(UserError, match="no gradient leads"):
        capture(network, images(), torch.tensor([0, 0]), layer="beside")


@pytest.mark.parametrize(
    ("tail", "words"),
    [
        (nn.Identity(), "Sequential gives numbers 2×4×6×6; explaining needs logits N×K"),
        (nn.LSTM(6, 2), "tuple"),
    ],
)
def test_an_answer_that_is_no_logits_is_told(tail, words):
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Flatten(1, 2) if isinstance(tail, nn.LSTM) else nn.Identity(), tail
    )
    with pytest.raises(UserError, match=words):
        maps_of(network, images(), layer="0")


def test_a_network_of_one_place_has_nothing_to_show():
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(1, 4, 1), nn.Flatten())
    with pytest.raises(
        UserError,
        match=r"no layer of the network gives feature maps .* use integrated_gradients or occlusion",
    ):
        layer_of(network, images())


def test_a_shared_layer_whose_last_maps_have_one_place_is_passed_over():
    relu = nn.ReLU()
    network = nn.Sequential(nn.Conv2d(1, 4, 3), relu, nn.AdaptiveAvgPool2d(1), relu, nn.Flatten())
    assert layer_of(network, images()) == "0"


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTINCT)
def test_of_every_network_the_last_stage_with_more_than_one_place_is_found(name):
    spec = variants[name].spec
    side = 32 if spec.small_form else spec.input_shape[1]
    with torch.device("meta"):
        network = create(name, input_shape=(spec.input_shape[0], side, side), classes=3).eval()
        maps = network.features(torch.zeros(1, *network.spec.input_shape))
    shapes = {stage: each.shape for stage, each in maps.items()}
    wide = [stage for stage, (_, _, height, width) in shapes.items() if height * width > 1]
    assert find_layer(Shapes(shapes), np.zeros((1, 3, 2, 2))) == wide[-1]


class Shapes:
    """A probe of a network that is never run: feature maps of the right shapes, without numbers."""

    def __init__(self, shapes):
        self.shapes = shapes

    def layers(self, *, within=False):
        return tuple(self.shapes)

    def feature_maps(self, inputs, layers):
        return {layer: np.empty(self.shapes[layer]) for layer in layers}, np.zeros((1, 3))


def test_a_stage_is_found_by_name_and_by_path():
    network = create("small_cnn")
    assert find_module(network, "stage1") is find_module(network, "body.stage1") is network.stages["stage1"]
    with pytest.raises(UserError, match="there is no layer 'stage9'; did you mean 'stage"):
        find_module(network, "stage9")


def test_a_network_whose_stages_end_in_one_place_is_searched_within_them():
    inner = nn.Sequential(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1))
    network = wrap_custom_model(
        nn.Sequential(inner, nn.Flatten(), nn.Linear(4, 3)), input_shape=(1, 8, 8), classes=3
    )
    assert layer_of(network, images()) == "module.0.0"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "layer4"),
        ("mobilenet_v2", "features"),
        ("densenet121", "features"),
        ("squeezenet1_1", "features"),
        ("convnext_tiny", "features"),
        ("regnet_y_400mf", "trunk_output"),
    ],
)
def test_the_layer_of_foreign_networks_is_found(name, layer):
    network = import_torchvision().models.get_model(name, weights=None, num_classes=3)
    x = torch.zeros(1, 3, 64, 64)
    assert layer_of(network, x) == layer
    found = capture(network, x, torch.zeros(1, dtype=torch.long), layer=layer)
    assert found.feature_maps.shape[2] > 1 and torch.isfinite(found.gradients).all()


class Again(nn.Module):
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


def test_any_module_is_kept_by_its_children_and_its_mode_is_put_back():
    module = Again().train()
    x = torch.randn(2, 2, 5, 5)
    found = stage_maps(module, x)
    assert list(found) == ["same"] and module.training and not found["same"].requires_grad
    # The last call counts, and not what an in-place layer made of it afterwards.
    assert same_but_for_rounding(found["same"], module.same(module.same(x)).detach())
    assert (found["same"] < 0).any()


def test_an_own_network_is_kept_by_its_stages():
    own = wrap_custom_model(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)),
        input_shape=(3, 8, 8),
        classes=2,
    )
    assert list(stage_maps(own, torch.zeros(1, 3, 8, 8))) == ["0", "1"]


def test_gradients_flow_where_they_are_on_and_hooks_go():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    x = torch.randn(1, 1, 4, 4, requires_grad=True)
    with watching(net, ["0"]) as watched:
        answer = net(x)
    assert torch.autograd.grad(watched.feature_maps["0"].sum(), x)[0].abs().sum() > 0 and answer.requires_grad
    assert not net[0]._forward_hooks


def test_what_is_not_there_is_named():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    with pytest.raises(UserError, match="there is no layer '9'"):
        stage_maps(net, torch.zeros(1, 1, 4, 4), ["9"])
    with pytest.raises(UserError, match=r"layer '1' gives numbers 1×8 and no feature maps"):
        stage_maps(net, torch.zeros(1, 1, 4, 4), ["1"])
    with pytest.raises(UserError, match="it has no layers"):
        stage_maps(nn.Flatten(), torch.zeros(1, 1, 4, 4))
