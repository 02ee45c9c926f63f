import numpy as np
import pytest
import torch

from convscope.core.errors import UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.feature_maps import (
    MOST,
    STRONGEST,
    StageMaps,
    feature_maps,
    maps_figure,
)
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    net = create("deeper_cnn", input_shape=(3, 16, 16), classes=2).eval()
    return ExplainedModel.of(TorchPredictor(net, Preprocess(3, 16, 16), ("a", "b")))


def test_maps_are_those_of_the_network(model):
    found = feature_maps(model, IMAGE)
    with torch.no_grad():
        expected = model.predictor.network.features(torch.from_numpy(model.inputs(IMAGE[None])))
    assert [each.stage for each in found] == list(expected)
    assert all(np.allclose(each.maps, expected[each.stage][0].numpy(), atol=1e-6) for each in found)


def test_one_layer_may_be_named_by_its_stage_or_path(model):
    (stage,), (path,) = (feature_maps(model, IMAGE, [name]) for name in ("stage2", "body.stage2"))
    assert np.array_equal(stage.maps, path.maps)
    with pytest.raises(UserError, match="did you mean 'stage2'"):
        feature_maps(model, IMAGE, ["stag2"])
    with pytest.raises(UserError, match="layer 'head' gives numbers"):
        feature_maps(model, IMAGE, ["head"])


def test_the_strongest_come_first_and_the_blank_are_counted():
    maps = np.zeros((5, 2, 2))
    maps[1], maps[3, 0, 0], maps[4] = -1.0, 3.0, 1e-9
    found = StageMaps("s", maps)
    assert found.strongest(3).tolist() == [1, 3, 4]
    assert found.blank.tolist() == [True, False, True, False, True]
    assert found.line() == "s: 5 maps of 2×2, 3 blank for this image"
    assert StageMaps("s", np.zeros((2, 1, 1))).blank.all()


def test_a_map_that_is_the_same_everywhere_is_not_blank():
    assert not StageMaps("s", np.ones((1, 1, 1))).blank.any()


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
