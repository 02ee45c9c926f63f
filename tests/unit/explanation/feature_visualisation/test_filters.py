import numpy as np
import pytest

from convscope.data.preparing.preprocess import Preprocess
from convscope.explanation.explained_model import ExplainedModel
from convscope.explanation.feature_visualisation.filters import Filters, filters_figure, first_filters
from convscope.models.pytorch.predictor import TorchPredictor
from convscope.models.pytorch.zoo import create


@pytest.mark.parametrize("name", ["small_cnn", "resnet20", "squeezenet1_0"])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_of_the_list_have_filters_for_each_channel(name, channels):
    net = create(name, input_shape=(channels, 32, 32), classes=2)
    found = first_filters(ExplainedModel.of(TorchPredictor(net, Preprocess(channels, 32, 32), ("a", "b"))))
    assert found.weights.shape[1] == channels
    tiles = found.tiles()
    assert tiles.shape[3:] == ((3,) if channels == 3 else ()) and len(tiles) == len(found.weights)
    assert (
        np.abs(tiles - 0.5).reshape(len(tiles), -1).max(axis=1) == pytest.approx(0.5)
    ) and tiles.min() >= 0


def test_scaling_is_symmetric_and_each_filters_own():
    found = Filters("c", np.array([[[[0.0, -2.0], [1.0, 2.0]]], [[[0.0, 0.0], [0.0, 0.1]]]]))
    assert found.tiles().tolist() == [[[0.5, 0.0], [0.75, 1.0]], [[0.5, 0.5], [0.5, 1.0]]]


def test_dead_filters_are_counted_and_named():
    weights = np.random.default_rng(0).normal(size=(32, 3, 3, 3))
    weights[[3, 20]] = 0
    weights[31] *= 1e-3
    found = Filters("stem.0", weights)
    assert np.flatnonzero(found.dead).tolist() == [3, 20, 31]
    assert found.lines()[1].startswith("3 of 32 filters are nearly zero: 3, 20, 31 (")
    assert np.isfinite(found.tiles()).all()
    assert Filters("a", np.zeros((1, 1, 3, 3))).lines()[1].startswith("1 of 1 filters is nearly zero: 0 (")


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (5, 1, 3, 3), (70, 3, 7, 7), (300, 3, 3, 3), (3, 4, 3, 3)])
def test_every_shape_is_drawn(shape):
    weights = np.random.default_rng(0).normal(size=shape)
    weights[0] = 0
    figure = filters_figure(Filters("$layer<b>".replace("$", "_"), weights))
    figure.draw_without_rendering()
    grid, bars = figure.axes
    assert len(grid.texts) == min(256, shape[0] * (shape[1] if shape[1] not in (1, 3) else 1))
    assert len(bars.patches) == shape[0]
