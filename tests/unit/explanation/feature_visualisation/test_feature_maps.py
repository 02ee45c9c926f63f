import numpy as np
import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.explanation.feature_visualisation.feature_maps import (
    MOST,
    STRONGEST,
    StageMaps,
    feature_maps,
    maps_figure,
)
from convscope.models.pytorch.zoo import create


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return create("deeper_cnn", input_shape=(3, 16, 16), classes=2).eval()


def test_maps_are_those_of_the_network(net):
    x = torch.randn(1, 3, 16, 16)
    found = feature_maps(net, x)
    with torch.no_grad():
        expected = net.features(x)
    assert [each.stage for each in found] == list(expected)
    assert all(np.allclose(each.maps, expected[each.stage][0].numpy()) for each in found)


def test_one_layer_may_be_named_by_its_stage_or_path(net):
    x = torch.randn(1, 3, 16, 16)
    (stage,), (path,) = (feature_maps(net, x, [name]) for name in ("stage2", "body.stage2"))
    assert np.array_equal(stage.maps, path.maps)
    with pytest.raises(UserError, match="did you mean 'stage2'"):
        feature_maps(net, x, ["stag2"])
    with pytest.raises(UserError, match="gives maps"):
        feature_maps(net, x, ["head"])


def test_the_strongest_come_first_and_the_blank_are_counted():
    maps = np.zeros((5, 2, 2))
    maps[1], maps[3, 0, 0], maps[4] = -1.0, 3.0, 1e-9
    found = StageMaps("s", maps)
    assert found.strongest(3).tolist() == [1, 3, 4]
    assert found.dummy_input.tolist() == [True, False, True, False, True]
    assert found.line() == "s: 5 maps of 2×2, 3 blank for this image"
    assert StageMaps("s", np.zeros((2, 1, 1))).dummy_input.all()


def test_a_map_that_is_the_same_everywhere_is_not_blank():
    assert not StageMaps("s", np.ones((1, 1, 1))).dummy_input.any()


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 3])
def test_one_stage_is_drawn_in_full_and_several_by_their_strongest(channels):
    image = np.zeros((9, 7, channels), np.uint8)
    maps = np.random.default_rng(0).normal(size=(40, 3, 2))
    stages = [StageMaps("early", maps), StageMaps("late", maps[:2])]
    several, one = maps_figure(image, stages), maps_figure(image, stages[:1])
    several.draw_without_rendering()
    one.draw_without_rendering()
    assert [len(axes.texts) for axes in several.axes] == [0, STRONGEST, 2]
    assert [text.get_text() for text in one.axes[1].texts] == [str(n) for n in range(40)]
    assert (
        maps_figure(image, [StageMaps("wide", np.ones((MOST + 9, 1, 1)))])
        .axes[1]
        .get_title(loc="left")
        .startswith(f"wide: {MOST} of {MOST + 9} maps")
    )


def test_any_module_will_do():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    assert [each.stage for each in feature_maps(module, torch.zeros(1, 1, 4, 4))] == ["0"]
