from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convscope.core.errors import ShapeError
from convscope.models.pytorch.shapes import dummy_input, explain, last_map, smallest_side


class Adds(nn.Module):
    """Fails between its layers, as a hand-written forward can."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(x) + x


def test_the_dummy_input_follows_the_parameters():
    assert dummy_input(nn.Conv2d(1, 1, 1).double(), (1, 2, 3)).dtype == torch.float64
    assert dummy_input(nn.ReLU(), (1, 2, 3)).shape == (1, 1, 2, 3)


@pytest.mark.parametrize(
    ("net", "shape", "says"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3)), (3, 8, 8), None),
        (nn.Sequential(nn.Conv2d(3, 4, 3)), (1, 8, 8), "layer 0 (Conv2d) got 1×8×8 and needs 3 channels"),
        (
            nn.Sequential(nn.Conv2d(3, 4, 5)),
            (3, 4, 8),
            "layer 0 (Conv2d) got 3×4×8 and needs at least 5×5 pixels",
        ),
        (nn.Sequential(nn.Conv2d(3, 4, 3, dilation=2)), (3, 4, 8), "needs at least 5×5 pixels"),
        (nn.Sequential(nn.Conv2d(3, 4, (1, 7), padding=(0, 1))), (3, 4, 4), "needs at least 1×5 pixels"),
        (
            nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)),
            (3, 1, 8),
            "layer 1 (MaxPool2d) got 3×1×8 and needs at least 2×2",
        ),
        (
            nn.Sequential(nn.AvgPool2d(4)),
            (3, 3, 8),
            "layer 0 (AvgPool2d) got 3×3×8 and needs at least 4×4 pixels",
        ),
        (nn.Sequential(nn.BatchNorm2d(3)), (1, 3, 8), "layer 0 (BatchNorm2d) got 1×3×8 and needs 3 channels"),
        (
            nn.Sequential(nn.Flatten(), nn.Linear(12, 2)),
            (3, 2, 3),
            "layer 1 (Linear) got 18 and needs 12 numbers",
        ),
        (
            nn.Sequential(nn.Upsample(scale_factor=2), nn.PixelShuffle(2)),
            (3, 2, 2),
            "layer 1 (PixelShuffle) got 3×4×4 and",
        ),
        (Adds(), (3, 8, 8), "it stops after layer conv: The size of tensor a (6) must match"),
    ],
)
def test_explanations(net, shape, says):
    assert explain(net, shape) == says or (says is not None and says in explain(net, shape))


def test_explanation_before_any_layer():
    class Unpacks(nn.Sequential):
        def forward(self, x):
            return super().forward(x.view(7))

    assert explain(Unpacks(), (1, 2, 2)).startswith("Unpacks got 1×2×2 and fails: shape '[7]' is invalid")
    assert explain(Unpacks(nn.ReLU()), (1, 2, 2)).startswith(
        "it stops before its first layer: shape '[7]' is invalid"
    )


def test_same_padding_is_understood():
    net = nn.Sequential(nn.Conv2d(3, 4, 5, padding="same"), nn.MaxPool2d(3))
    assert explain(net, (3, 2, 2)) == "layer 1 (MaxPool2d) got 4×2×2 and needs at least 3×3 pixels"


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["conv3", "conv5", "pool"]), min_size=1, max_size=5), st.integers(1, 40))
def test_the_smallest_side_is_the_smallest(layers, side):
    kinds = {
        "conv3": lambda: nn.Conv2d(1, 1, 3),
        "conv5": lambda: nn.Conv2d(1, 1, 5, padding=1),
        "pool": lambda: nn.MaxPool2d(2),
    }
    net = nn.Sequential(*(kinds[layer]() for layer in layers))
    smallest = smallest_side(net, 1)
    assert (explain(net, (1, side, side)) is None) == (side >= smallest)


def test_no_smallest_side_where_channels_are_wrong():
    assert smallest_side(nn.Sequential(nn.Conv2d(3, 1, 1)), 1) is None
    with pytest.raises(
        ShapeError, match=r"net cannot be built for 1×8×8 images: layer 0 .*needs 3 channels$"
    ):
        last_map("net", nn.Sequential(nn.Conv2d(3, 1, 1)), (1, 8, 8))


def test_last_map_says_what_is_too_small():
    net = nn.Sequential(nn.MaxPool2d(2), nn.MaxPool2d(2), nn.MaxPool2d(2))
    assert last_map("net", net, (3, 17, 8)) == (3, 2, 1)
    with pytest.raises(ShapeError, match=r"layer 2 .* got 3×1×3 and needs at least 2×2 .* takes is 8×8"):
        last_map("net", net, (3, 7, 12))
