"""Dense layer, flattening, dropout and squeeze-and-excite in NumPy beside PyTorch's, over shapes drawn at
random.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import beside_torch as beside
from convscope.reference.network.linear import flatten, flatten_backward, linear, linear_backward
from convscope.reference.network.squeeze_excite import squeeze_excite, squeeze_excite_backward
from convscope.reference.training.dropout import channel_dropout_mask, dropout, dropout_backward, dropout_mask

SEEDS = st.integers(0, 1000)
MAPS = st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4))
SIZE = st.integers(1, 7)


@settings(max_examples=40)
@given(n=SIZE, d=SIZE, k=SIZE, seed=SEEDS)
def test_linear(n, d, k, seed):
    x, w, b = (
        beside.normal(n, d, seed=seed),
        beside.normal(k, d, seed=seed + 1),
        beside.normal(k, seed=seed + 2),
    )
    beside.agree(linear, lambda dy, x, w, b: linear_backward(dy, x, w), F.linear, x, w, b)
    beside.agree(linear, lambda dy, x, w: linear_backward(dy, x, w)[:2], F.linear, x, w)


@settings(max_examples=20)
@given(shape=MAPS, seed=SEEDS)
def test_flatten(shape, seed):
    x = beside.normal(*shape, seed=seed)
    beside.agree(flatten, flatten_backward, partial(torch.flatten, start_dim=1), x)


@pytest.mark.parametrize("draw", [dropout_mask, channel_dropout_mask])
@settings(max_examples=20)
@given(shape=MAPS, p=st.floats(0, 0.9), seed=SEEDS)
def test_dropout(draw, shape, p, seed):
    # The masks of two libraries differ; with the mask given, dropout is the product that torch computes with
    # it.
    mask = draw(shape, np.random.default_rng(seed), p=p)
    beside.agree(
        partial(dropout, mask=mask, p=p),
        lambda dy, x: dropout_backward(dy, mask, p=p),
        lambda t: t * torch.tensor(mask) / (1 - p),
        beside.normal(*shape, seed=seed),
    )


@settings(max_examples=30)
@given(shape=MAPS, narrow=st.integers(1, 4), seed=SEEDS)
def test_squeeze_excite(shape, narrow, seed):
    c = shape[1]
    shapes = {"w1": (narrow, c), "b1": (narrow,), "w2": (c, narrow), "b2": (c,)}
    weights = [beside.normal(*s, seed=seed + i) for i, s in enumerate(shapes.values())]
    # The ReLU inside stays away from its kink, some units on either side; the gates stay where the sigmoid
    # has a gradient.
    weights[0] *= 0.1
    weights[1] = np.where(np.arange(narrow) % 2, -2.0, 2.0)
    weights[2] *= 0.5

    def named(arrays):
        return dict(zip(shapes, arrays, strict=True))

    def theirs(x, w1, b1, w2, b2):
        hidden = F.relu(F.linear(x.mean(dim=(2, 3)), w1, b1))
        return x * torch.sigmoid(F.linear(hidden, w2, b2))[:, :, None, None]

    beside.agree(
        lambda x, *w: squeeze_excite(x, **named(w)),
        lambda dy, x, *w: squeeze_excite_backward(dy, x, **named(w)),
        theirs,
        beside.normal(*shape, seed=seed),
        *weights,
    )


def test_squeeze_excite_is_torchvisions():
    from convscope.models.pytorch.torchvision_cpu import import_torchvision

    import_torchvision()
    from torchvision.ops import SqueezeExcitation

    block = SqueezeExcitation(8, 2).double()
    weights = [p.detach().numpy().reshape(p.shape[:2] if p.ndim > 1 else p.shape) for p in block.parameters()]
    x = beside.normal(2, 8, 5, 5)
    ours = squeeze_excite(x, **dict(zip(("w1", "b1", "w2", "b2"), weights, strict=True)))
    beside.near(ours, block(torch.tensor(x)).detach().numpy(), beside.FLOAT64)
