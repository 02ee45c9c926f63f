from __future__ import annotations

import pytest
import torch
from torch import nn

from convscope.models.pytorch.families.plain.lenet import (
    FOURS,
    THREES,
    Distances,
    ScaledTanh,
    SomeToSome,
    Subsample,
    code,
)
from convscope.models.pytorch.zoo import create
from convscope.models.variants.registry import variants

# Trainable parameters and connections of each layer (section II-B of the paper); the output has 840 of the
# latter.
LAYERS = {
    **{"C1": (156, 122_304), "S2": (12, 5_880), "C3": (1_516, 151_600), "S4": (32, 2_000)},
    **{"C5": (48_120, 48_120), "F6": (10_164, 10_164)},
}


def size(module):
    return sum(p.numel() for p in module.parameters())


def test_every_layer_counts_as_the_paper_says():
    net = create("lenet5_1998")
    (c1, _, s2, _), (c3, _, s4, _), (_, c5, _, f6, *_) = net.body.stage1, net.body.stage2, net.head
    assert [size(m) for m in (c1, s2, c3, s4, c5, f6)] == [parameters for parameters, _ in LAYERS.values()]
    assert (
        size(net) == sum(p for p, _ in LAYERS.values()) == 60_000 == variants["lenet5_1998"].spec.parameters
    )


def test_connections_add_up_to_those_of_the_paper():
    """A weight or a bias counts at every place where it is used; a coefficient for each of the four
    pixels."""
    places = {"C1": 28 * 28, "S2": 14 * 14, "C3": 10 * 10, "S4": 5 * 5, "C5": 1, "F6": 1}
    for layer, (parameters, connections) in LAYERS.items():
        each = parameters * 5 // 2 if layer.startswith("S") else parameters
        assert each * places[layer] == connections
    assert sum(connections for _, connections in LAYERS.values()) + 10 * 84 == 340_908


def test_table_1():
    """Row by row: which maps of C3 see this map of S2."""
    seen = [*THREES, *FOURS, tuple(range(6))]
    rows = ["".join("X" if i in some else "." for some in seen) for i in range(6)]
    assert rows == [
        "X...XXX..XXXX.XX",
        "XX...XXX..XXXX.X",
        "XXX...XXX..X.XXX",
        ".XXX..XXXX..X.XX",
        "..XXX..XXXX.XX.X",
        "...XXX..XXXX.XXX",
    ]


def test_c3_is_a_convolution_with_holes():
    torch.manual_seed(0)
    c3 = SomeToSome().double()
    kernels = torch.zeros(16, 6, 5, 5, dtype=torch.float64)
    for i, some in enumerate((*THREES, *FOURS)):
        kernels[i, list(some)] = c3.threes.weight[i] if i < 6 else c3.fours.weight[i - 6]
    kernels[15] = c3.all.weight[0]
    bias = torch.cat([c3.threes.bias, c3.fours.bias, c3.all.bias])
    x = torch.randn(2, 6, 7, 9, dtype=torch.float64)
    assert torch.allclose(c3(x), nn.functional.conv2d(x, kernels, bias), rtol=1e-12, atol=1e-13)


def test_subsampling_is_its_formula():
    layer = Subsample(2)
    nn.init.normal_(layer.coefficient)
    nn.init.normal_(layer.bias)
    x = torch.randn(1, 2, 4, 5)
    sums = x[..., 0::2, 0:4:2] + x[..., 0::2, 1:4:2] + x[..., 1::2, 0:4:2] + x[..., 1::2, 1:4:2]
    assert torch.allclose(layer(x), layer.coefficient * sums + layer.bias, atol=1e-6)
    assert torch.allclose(Subsample(2)(x), nn.AvgPool2d(2)(x), atol=1e-6)


def test_the_squashing_function_keeps_plus_and_minus_one_and_bends_most_there():
    f = ScaledTanh()
    assert torch.allclose(
        f(torch.tensor([-1.0, 0.0, 1.0, 50.0])), torch.tensor([-1.0, 0.0, 1.0, 1.7159]), atol=1e-4
    )
    x = torch.linspace(0, 3, 3001, dtype=torch.float64)
    bend = -torch.diff(f(x), n=2)
    assert abs(x[bend.argmax() + 1] - 1) < 0.02


def test_logits_are_scaled_distances_to_codes():
    layer = Distances(7)
    x = torch.randn(3, 84)
    expected = [
        [-sum((a - b) ** 2 for a, b in zip(row, code(k), strict=True)) for k in range(7)]
        for row in x.tolist()
    ]
    assert torch.allclose(layer(x), torch.tensor(expected) / (2 * 84**0.5), rtol=1e-5)
    assert (layer(layer.codes).argmax(1) == torch.arange(7)).all() and layer(layer.codes).max() == 0


@pytest.mark.slow
def test_codes_are_fixed_far_apart_and_not_trained():
    codes = torch.tensor([code(i) for i in range(1000)])
    assert set(codes.unique().tolist()) == {-1.0, 1.0}
    differ = (codes[:, None] != codes).sum(2) + 84 * torch.eye(1000, dtype=torch.long)
    assert differ[:10, :10].min() >= 30 and differ.min() >= 20  # of 84; half of them on average
    assert abs(codes.mean().item()) < 4 / 84_000**0.5
    assert (
        "".join("+" if bit > 0 else "-" for bit in code(0)[:16]) == "-+-++++++++-++--"
    )  # SHA-256 of "0": 5feceb…
    net = create("lenet5_1998", classes=3)
    assert torch.equal(net.head[-1].codes, codes[:3])
    assert "head.5.codes" in net.state_dict() and "head.5.codes" not in dict(net.named_parameters())


def test_28_pixels_are_padded_to_the_32_of_the_paper():
    small, large = (create("lenet5_1998", input_shape=(1, side, side)).eval() for side in (28, 32))
    large.load_state_dict(small.state_dict())
    x = torch.randn(3, 1, 28, 28)
    with torch.no_grad():
        assert torch.allclose(small(x), large(nn.functional.pad(x, (2, 2, 2, 2))), atol=1e-6)
    maps = large.features(torch.zeros(1, 1, 32, 32))
    assert [tuple(m.shape[1:]) for m in maps.values()] == [(6, 14, 14), (16, 5, 5)]


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 10])
def test_cross_entropy_trains_it(classes):
    """A batch of noise is learnt by heart."""
    torch.manual_seed(0)
    net = create("lenet5_1998", classes=classes)
    x, y = torch.randn(20, 1, 32, 32), torch.arange(20) % classes
    optimiser = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for _ in range(60):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimiser.step()
    assert (net(x).argmax(1) == y).all()
