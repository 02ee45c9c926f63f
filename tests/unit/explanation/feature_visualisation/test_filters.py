import numpy as np
import pytest
import torch
from torch import nn

from convscope.core.errors import UserError
from convscope.explanation.feature_visualisation.filters import Filters, filters_figure, first_filters
from convscope.models.pytorch.zoo import create


class Backwards(nn.Module):
    """Its layers are defined in another order than that in which they are called."""

    def __init__(self):
        super().__init__()
        self.second = nn.Conv2d(4, 2, 3)
        self.first = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.second(self.first(x)).mean((2, 3))


def test_the_first_that_is_called_counts_and_not_the_first_that_is_defined():
    net = Backwards()
    found = first_filters(net, torch.zeros(1, 3, 8, 8))
    assert found.layer == "first" and np.allclose(found.weights, net.first.weight.detach().numpy())


@pytest.mark.parametrize("name", ["small_cnn", "resnet20", "squeezenet1_0"])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_of_the_list_have_filters_for_each_channel(name, channels):
    net = create(name, input_shape=(channels, 32, 32), classes=2)
    found = first_filters(net, torch.zeros(1, channels, 32, 32))
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


def test_without_a_convolution_there_is_a_reason():
    with pytest.raises(UserError, match="Sequential has no convolution that an image comes to"):
        first_filters(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.zeros(1, 1, 2, 2))
