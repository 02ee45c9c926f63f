from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from convscope.core.bundle import Bundle
from convscope.core.errors import ShapeError, UserError
from convscope.models.engine import open_network
from convscope.models.pytorch.engine import build

OWN = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self, in_channels, classes):
        super().__init__(nn.Conv2d(in_channels, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, classes))
"""


class Net(nn.Sequential):
    def __init__(self, in_channels=1, classes=3):
        super().__init__(nn.Conv2d(in_channels, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, classes))


def bundle(network):
    weights = {name: value.numpy().copy() for name, value in network.state_dict().items()}
    classes = tuple("abc"[: network.spec.classes])
    return Bundle(weights=weights, model=network.spec.to_dict(), preprocess={}, classes=classes)


def reopened(bundle, model=None):
    return open_network(bundle, model)[1]


def same(one, two):
    x = torch.randn(2, *one.spec.input_shape)
    with torch.no_grad():
        return torch.equal(one.eval()(x), two.eval()(x))


def test_three_ways_to_name_a_network(tmp_path):
    (tmp_path / "net.py").write_text(OWN)
    for model in ("small_cnn", f"{tmp_path / 'net.py'}:Net", Net()):
        made = build(model, input_shape=(1, 8, 8), classes=3)
        assert made(torch.zeros(2, 1, 8, 8)).shape == (2, 3) and made.spec.classes == 3


def test_options_are_for_networks_on_the_list(tmp_path):
    (tmp_path / "net.py").write_text(OWN)
    assert (
        build("small_cnn", input_shape=(1, 8, 8), classes=3, options={"hidden": 5}).spec.options["hidden"]
        == 5
    )
    for model in (f"{tmp_path / 'net.py'}:Net", Net()):
        with pytest.raises(UserError, match=r"model\.options \['hidden'\] were given; only networks from"):
            build(model, input_shape=(1, 8, 8), classes=3, options={"hidden": 5})


def test_an_unknown_name_and_a_shape_that_does_not_fit():
    with pytest.raises(UserError, match="did you mean 'small_cnn'"):
        build("smal_cnn", input_shape=(1, 8, 8), classes=3)
    with pytest.raises(ShapeError, match="does not take 1×9×9 images"):
        build(Net(), input_shape=(1, 9, 9), classes=3)


def test_a_network_of_the_list_comes_back_by_its_name_and_options():
    made = build(
        "small_cnn", input_shape=(3, 9, 8), classes=2, options={"widths": [3, 5], "pooling": "average"}
    )
    back = reopened(bundle(made))
    assert back.spec == made.spec and same(made, back) and not back.training


def test_a_custom_model_has_to_be_passed_again(tmp_path):
    file = tmp_path / "net.py"
    file.write_text(OWN)
    made = build(f"{file}:Net", input_shape=(1, 8, 8), classes=3)
    file.write_text("raise SystemExit('the file of a bundle was run')")
    with pytest.raises(
        UserError, match=r"your own network Net \(trained from .*net\.py\) and no code; give it"
    ):
        reopened(bundle(made))
    for model in (Net, Net()):
        assert same(made, reopened(bundle(made), model))


@pytest.mark.parametrize(
    "change",
    [{"0.weight": None}, {"0.weight": np.zeros((9, 1, 3, 3), np.float32)}, {"more": np.zeros(1, np.float32)}],
)
def test_weights_that_do_not_fit_are_one_line(change):
    made = bundle(build(Net(), input_shape=(1, 8, 8), classes=3))
    for name, value in change.items():
        key = f"module.{name}"
        made.weights.pop(key, None)
        if value is not None:
            made.weights[key] = value
    with pytest.raises(UserError, match="the bundle's weights do not fit Net") as caught:
        reopened(made, Net)
    assert "\n" not in str(caught.value)
