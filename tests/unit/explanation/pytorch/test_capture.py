"""Any network gives its maps, its logits and the gradients between them, and is left as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from convscope.core.errors import UserError
from convscope.explanation.pytorch.capture import capture, find_layer, find_module, logits_from, maps_of
from convscope.models.pytorch.custom_model import wrap_custom_model
from convscope.models.pytorch.torchvision_cpu import import_torchvision
from convscope.models.pytorch.zoo import create, networks
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


def slopes_by_differences(network, x, targets, layer, *, step=1e-6):
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


@pytest.mark.slow
def test_the_slopes_are_those_that_differences_measure(case):
    network, layer = case
    x, targets = images().double(), torch.tensor([0, 2])
    assert find_layer(network, x) == layer
    found = capture(network, x, targets, layer=layer)
    expected = slopes_by_differences(network, x, targets, layer)
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
        and same_but_for_rounding(maps, found.maps)
    )
    assert torch.allclose(logits_from(network, x, maps, layer=layer), expected, rtol=1e-12)
    assert not (found.maps.requires_grad or found.logits.requires_grad or found.gradients.requires_grad)


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


def test_training_mode_and_frozen_parameters_change_no_slope():
    torch.manual_seed(0)
    network = Functional()
    x, targets = images(), torch.tensor([0, 1])
    network.norm(network.conv1(10 + images(16)))  # so that the batch's own statistics would be others
    expected = capture(network.eval(), x, targets, layer="conv2")
    for parameter in network.train().parameters():
        parameter.requires_grad_(False)
    found = capture(network, x, targets, layer="conv2")
    assert same_but_for_rounding(found.gradients, expected.gradients)
    assert same_but_for_rounding(found.maps, expected.maps)


def test_hooks_are_gone_after_an_error():
    network = sequential()
    with pytest.raises(RuntimeError):
        find_layer(network, torch.zeros(1, 2, 8, 8))
    with pytest.raises(UserError):
        capture(network, images(), torch.tensor([0, 0]), layer="5")
    assert not any(m._forward_hooks for m in network.modules())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_any_number_of_images(count):
    found = capture(sequential(), images(count), torch.zeros(count, dtype=torch.long), layer="3")
    assert found.maps.shape == found.gradients.shape == (count, 5, 4, 4) and found.logits.shape == (count, 3)


@pytest.mark.parametrize(
    ("make", "layer", "words"),
    [
        (sequential, "9", "there is no layer '9'"),
        (sequential, "", "there is no layer ''"),
        (Functional, "conv3", "there is no layer 'conv3'; did you mean 'conv[12]'"),
        (
            sequential,
            "5",
            r"layer '5' gives numbers 2×3; class activation needs maps N×C×h×w; name an earlier",
        ),
        (Many, "attention", "layer 'attention' gives a tuple; class activation needs maps"),
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
        (nn.Identity(), "Sequential answers with numbers 2×4×6×6; explaining needs logits N×K"),
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
        UserError, match=r"no layer of Sequential gives maps .* use integrated_gradients or occlusion"
    ):
        find_layer(network, images())


def test_a_shared_layer_whose_last_maps_have_one_place_is_passed_over():
    relu = nn.ReLU()
    network = nn.Sequential(nn.Conv2d(1, 4, 3), relu, nn.AdaptiveAvgPool2d(1), relu, nn.Flatten())
    assert find_layer(network, images()) == "0"


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTINCT)
def test_of_every_network_the_last_stage_with_more_than_one_place_is_found(name):
    spec = networks[name].spec
    side = 32 if spec.small_form else spec.input_shape[1]
    with torch.device("meta"):
        network = create(name, input_shape=(spec.input_shape[0], side, side), classes=3)
        x = torch.zeros(1, *network.spec.input_shape)
        sizes = {stage: maps.shape[2] * maps.shape[3] for stage, maps in network.eval().features(x).items()}
        assert find_layer(network, x) == [stage for stage, places in sizes.items() if places > 1][-1]


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
    assert find_layer(network, images()) == "module.0.0"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "layer4"),
        ("mobilenet_v2", "features"),
        ("densenet121", "features"),
        ("squeezenet1_1", "classifier.2"),
        ("convnext_tiny", "features"),
        ("regnet_y_400mf", "trunk_output"),
    ],
)
def test_the_layer_of_foreign_networks_is_found(name, layer):
    network = import_torchvision().models.get_model(name, weights=None, num_classes=3)
    x = torch.zeros(1, 3, 64, 64)
    assert find_layer(network, x) == layer
    found = capture(network, x, torch.zeros(1, dtype=torch.long), layer=layer)
    assert found.maps.shape[2] > 1 and torch.isfinite(found.gradients).all()
