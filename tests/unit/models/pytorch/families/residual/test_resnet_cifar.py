from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from convscope.models.pytorch.families.residual.resnet_cifar import Block
from convscope.models.pytorch.load_weights import load_weights
from convscope.models.pytorch.zoo import create, key_maps_of
from convscope.models.variants.registry import variants

DATA = Path(__file__).resolve().parents[5].parent / "shared" / "data"


def count(depth, channels=3, classes=10):
    """The number of parameters by the paper's table: 3×3 weights, two numbers a map in a norm, one linear
    layer.
    """
    n = (depth - 2) // 6
    total = 9 * channels * 16 + 2 * 16
    for inputs, width in ((16, 16), (16, 32), (32, 64)):
        total += 9 * width * (inputs + (2 * n - 1) * width) + 2 * n * 2 * width
    return total + 64 * classes + classes


@pytest.mark.parametrize(("depth", "paper"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_counts_equal_the_formula_and_the_paper(depth, paper):
    assert variants[f"resnet{depth}"].spec.parameters == count(depth)
    assert round(count(depth) / 1e6, 1 if depth == 110 else 2) == paper


@settings(deadline=None, max_examples=10)
@given(st.integers(1, 5), st.sampled_from([1, 3]), st.integers(2, 30))
def test_other_depths_follow_the_formula(n, channels, classes):
    net = create("resnet20", input_shape=(channels, 16, 16), classes=classes, options={"depth": 6 * n + 2})
    assert sum(p.numel() for p in net.parameters()) == count(6 * n + 2, channels, classes)


def test_layers_are_as_many_as_the_name_says():
    for name, depth in (("resnet20", 20), ("resnet56", 56)):
        weighted = [m for m in create(name).modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert len(weighted) == depth


def test_maps_halve_as_they_double():
    maps = create("resnet20").features(torch.zeros(2, 3, 32, 32))
    assert [tuple(m.shape[1:]) for m in maps.values()] == [
        (16, 32, 32),
        (16, 32, 32),
        (32, 16, 16),
        (64, 8, 8),
    ]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (7, 5), (1, 1)])
def test_the_shortcut_is_option_a(height, width):
    x = torch.randn(2, 4, height, width)
    short = Block(4, 10, stride=2).shortcut(x)
    expected = np.zeros((2, 10, (height + 1) // 2, (width + 1) // 2), np.float32)
    for i in range(0, height, 2):
        for j in range(0, width, 2):
            expected[:, 3:7, i // 2, j // 2] = x[:, :, i, j].numpy()
    assert np.array_equal(short.numpy(), expected)
    assert Block(4, 4, stride=1).shortcut(x) is x


def test_a_block_that_learned_nothing_passes_on_what_is_positive():
    block = Block(4, 4, stride=1).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.randn(2, 4, 6, 6)
    assert torch.equal(block(x), x.relu())


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "weights").is_dir(), reason="../shared/data is not there")
def test_published_weights_are_as_accurate_as_published():
    """Y. Idelbayev's weights, 91.73 % on all 10,000 images, must be right about as often on the first
    1,000."""
    import pyarrow.parquet as pq
    from PIL import Image

    with np.load(DATA / "weights" / "cifar10_resnet20.npz") as stored:
        weights = {name: torch.from_numpy(stored[name]) for name in stored.files}
    net = create("resnet20")
    report = load_weights(net, weights, key_maps_of("resnet20"))
    assert report.whole and report.key_map == "akamaster"
    table = next(
        pq.ParquetFile(next((DATA / "cifar10").rglob("*test*.parquet"))).iter_batches(1000)
    ).to_pydict()
    cells = [cell["bytes"] for cell in table["image"]]
    images = np.stack([np.asarray(Image.open(io.BytesIO(cell)).convert("RGB")) for cell in cells])
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    x = ((torch.from_numpy(images) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        answers = net.eval()(x).argmax(1)
    accuracy = (answers == torch.tensor(table["label"])).float().mean().item()
    assert 0.90 <= accuracy <= 0.94, accuracy
