from __future__ import annotations

import numpy as np
import pytest
import torch

import beside_torch as beside
from convscope.data.source import open_source
from convscope.models.pytorch.engine import build
from convscope.reference.arrays import ShapeError
from convscope.reference.lenet import lenet5
from convscope.reference.losses.cross_entropy import cross_entropy_backward


def test_it_has_the_weights_of_the_paper_with_full_connections():
    assert sum(w.size for w in lenet5().weights.values()) == 61_706
    assert [w.shape for w in lenet5(channels=3, classes=7).weights.values()][::9] == [(6, 3, 5, 5), (7,)]


def test_it_is_the_network_of_the_zoo():
    # With the same weights: logits and gradients, in float64.
    ours = lenet5(dtype=np.float64)
    theirs = build(
        "lenet5", input_shape=(1, 28, 28), classes=10, options={"activation": "relu", "pooling": "max"}
    ).double()
    with torch.no_grad():
        for parameter, value in zip(theirs.parameters(), ours.weights.values(), strict=True):
            parameter.copy_(torch.tensor(value))
    x, labels = beside.normal(8, 1, 28, 28), np.arange(8)
    logits = theirs(torch.tensor(x))
    beside.near(ours.forward(x, training=True), logits.detach().numpy(), beside.FLOAT64)
    torch.nn.functional.cross_entropy(logits, torch.tensor(labels)).backward()
    ours.backward(cross_entropy_backward(1.0, logits.detach().numpy(), labels))
    for parameter, gradient in zip(theirs.parameters(), ours.gradients.values(), strict=True):
        beside.near(gradient, parameter.grad.numpy(), beside.FLOAT64)


@pytest.mark.slow
def test_it_learns_to_tell_clothes_apart():
    train, test = (open_source("fashion_mnist").open(split) for split in ("train", "test"))
    images, answers = (
        (part.images[:2000].transpose(0, 3, 1, 2) / 255 - 0.286) / 0.353 for part in (train, test)
    )
    net = lenet5()
    net.fit(images, train.labels[:2000], epochs=3, batch_size=32, rate=0.02)
    # 80 % after these three epochs of two thousand images; chance gives 10.
    assert (net.predict(answers).argmax(axis=1) == test.labels[:2000]).mean() > 0.7


def test_other_sizes_raise_with_the_layer():
    with pytest.raises(ShapeError, match=r"layer 7, Linear: .*x \(1, 576\), w \(120, 400\)"):
        lenet5().predict(np.zeros((1, 1, 32, 32)))
