from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import nn

from convscope.core.errors import ShapeError, UserError
from convscope.models.pytorch.network import Network
from convscope.models.spec import ModelSpec
from rounding import same_but_for_rounding


def small(shape=(3, 8, 8)):
    spec = ModelSpec("tiny", input_shape=shape, classes=2)
    stages = {
        "first": nn.Sequential(nn.Conv2d(shape[0], 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        "second": nn.MaxPool2d(2),
    }
    return Network(spec, stages, lambda c, h, w: nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 2)))


def test_stages_are_named_in_order_and_the_head_is_apart():
    net = small()
    assert list(net.stages) == ["first", "second"]
    assert net.stages["second"] is net.body.second
    assert {name.split(".")[0] for name in net.state_dict()} == {"body", "head"}


def test_features_are_what_the_stages_give():
    net = small().eval()
    x = torch.randn(5, 3, 8, 8)
    maps = net.features(x)
    assert {k: tuple(v.shape) for k, v in maps.items()} == {"first": (5, 4, 6, 6), "second": (5, 4, 3, 3)}
    assert same_but_for_rounding(net.head(maps["second"]).detach(), net(x).detach())


@pytest.mark.parametrize(("height", "width"), [(4, 4), (5, 9), (8, 8), (31, 6)])
def test_the_head_is_computed(height, width):
    net = small((1, height, width))
    assert net(torch.zeros(2, 1, height, width)).shape == (2, 2)
    assert net.head[1].in_features == 4 * ((height - 2) // 2) * ((width - 2) // 2)


def test_building_changes_no_statistics_and_no_modes():
    net = small()
    assert torch.equal(net.body.first[1].running_var, torch.ones(4))
    assert net.body.first[1].num_batches_tracked == 0
    assert all(m.training for m in net.modules())


@pytest.mark.parametrize("call", ["forward", "features"])
@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (
            (2, 1, 8, 8),
            r"tiny was built for 3×8×8 images and got 1×8×8: layer first.0 \(Conv2d\) .* needs 3 channels",
        ),
        ((2, 3, 2, 8), r"got 3×2×8: layer first.0 \(Conv2d\) got 3×2×8 and needs at least 3×3 pixels"),
        ((2, 3, 3, 3), r"layer second \(MaxPool2d\) got 4×1×1 and needs at least 2×2 pixels"),
        (
            (3, 8, 8),
            r"got an array of shape 3×8×8; it needs a batch N×3×8×8; for one image use x.unsqueeze\(0\)",
        ),
        ((2, 2, 3, 8, 8), "got an array of shape 2×2×3×8×8; it needs a batch N×3×8×8$"),
    ],
)
def test_wrong_shapes_name_the_layer(call, shape, says):
    with pytest.raises(ShapeError, match=says):
        getattr(small(), call)(torch.zeros(shape))


def test_a_size_that_only_the_head_refuses():
    net = small()
    assert net.features(torch.zeros(1, 3, 10, 10))["second"].shape == (1, 4, 4, 4)
    with pytest.raises(ShapeError, match=r"layer head.1 \(Linear\) got 64 and needs 36 numbers an image"):
        net(torch.zeros(1, 3, 10, 10))


def test_bytes_are_refused_in_words():
    with pytest.raises(UserError, match=r"got torch.uint8 images; .*normalise"):
        small()(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def test_an_error_that_is_not_about_shapes_stays_itself():
    class Breaks(nn.Module):
        def forward(self, x):
            if x.abs().sum() > 0:
                raise RuntimeError("out of memory")
            return x

    net = Network(ModelSpec("net", classes=3), {"a": Breaks()}, lambda *_: nn.Flatten())
    with pytest.raises(RuntimeError, match=r"^out of memory$"):
        net(torch.ones(1, 3, 32, 32))


def test_a_wrong_shape_leaves_the_network_as_it_was():
    net = small()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(ShapeError):
        net(torch.zeros(2, 3, 3, 3))
    assert all(m.training for m in net.modules())
    changed = [k for k, v in net.state_dict().items() if not torch.equal(before[k], v)]
    # The failed pass itself went through the norm; finding the layer did not.
    assert net.body.first[1].num_batches_tracked == 1 and all("first.1" in k for k in changed)


def test_copies_are_independent():
    net = small()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net.body))):
        with torch.no_grad():
            for p in twin.parameters():
                p.zero_()
    assert all(p.abs().sum() > 0 for p in net.head.parameters())
    assert net.body.first[0].weight.abs().sum() > 0


@pytest.mark.slow
def test_a_network_can_be_exported():
    net = small().eval()
    x = torch.randn(2, 3, 8, 8)
    program = torch.export.export(net, (x,))
    assert torch.allclose(program.module()(x), net(x))


def test_empty_batches_pass():
    assert small().eval()(torch.zeros(0, 3, 8, 8)).shape == (0, 2)
