from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.core.bundle import Bundle
from convscope.core.errors import ShapeError, UserError
from convscope.models.describe import summary
from convscope.models.pytorch.engine import build
from convscope.models.variants.registry import variants
from distinct import A_FAMILY


def test_a_name_is_described_as_it_was_designed_or_as_is_asked():
    assert summary("lenet5").rows[-1].output == (10,)
    assert summary("small_cnn", (1, 28, 28), classes=4).rows[-1].output == (4,)
    assert summary("small_cnn", options={"hidden": 7}).parameters < summary("small_cnn").parameters


@pytest.mark.slow
@pytest.mark.parametrize("name", A_FAMILY)
def test_a_name_of_every_family(name):
    with torch.device("meta"):  # shapes without numbers: the largest has 144 million
        assert summary(name).parameters == variants[name].spec.parameters


def test_a_run_is_described_as_it_was_trained(tmp_path):
    made = build("small_cnn", input_shape=(1, 12, 12), classes=3, options={"widths": [2, 3]})
    weights = {name: value.numpy() for name, value in made.state_dict().items()}
    bundle = Bundle(weights=weights, model=made.spec.to_dict(), preprocess={}, classes=tuple("abc"))
    bundle.save(tmp_path / "bundle.safetensors")
    for place in (tmp_path, str(tmp_path / "bundle.safetensors")):
        description = summary(place)
        assert description.parameters == sum(p.numel() for p in made.parameters()) and description.rows[
            -1
        ].output == (3,)
    with pytest.raises(ShapeError, match="3×12×12"):
        summary(tmp_path, (3, 12, 12))
    for more in ({"classes": 5}, {"options": {"widths": [4]}}):
        with pytest.raises(UserError, match="is trained"):
            summary(tmp_path, **more)


def test_a_module_of_ones_own():
    net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 10))
    assert summary(net).parameters == summary(net, (3, 9, 9)).parameters == 56 + 30
    assert summary(net, (3, 9, 9)).macs < summary(net).macs


def test_what_is_none_of_these():
    with pytest.raises(UserError, match="there is no network 'x'"):
        summary("x")
    with pytest.raises(UserError, match="classes=0"):
        summary("small_cnn", classes=0)


def test_a_file_without_its_class_is_no_bundle(tmp_path):
    (tmp_path / "my_net.py").write_text("")
    with pytest.raises(UserError, match=r"write FILE\.py:CLASS"):
        summary(tmp_path / "my_net.py")
