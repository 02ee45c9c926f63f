"""Optimisers in NumPy beside torch.optim's, over many steps on a surface with a gradient that turns and
shrinks.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

import beside_torch as beside
from convscope.reference.training.optimizers import adam, adamw, sgd

STEPS = 300
SGD = [
    {},
    {"weight_decay": 0.01},
    {"momentum": 0.9},
    {"momentum": 0.5, "weight_decay": 0.1},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
]
ADAM = [
    {},
    {"betas": (0.5, 0.9)},
    {"betas": (0.0, 0.99)},
    {"weight_decay": 0.1},
    {"eps": 1e-3, "weight_decay": 0.01},
]
CASES = [
    *((sgd, torch.optim.SGD, options) for options in SGD),
    *((adam, torch.optim.Adam, options) for options in ADAM),
    *((adamw, torch.optim.AdamW, options) for options in ADAM),
]


def gradient(name: str, w: Any, step: int) -> Any:
    """The gradient of a curved valley, with a force that changes from step to step; for arrays and tensors
    alike.
    """
    force = 0.3 * np.random.default_rng(step).standard_normal(w.shape)
    curve = w**3 - 0.5 * w + (0.1 if name == "bias" else 0.0)
    return curve + (torch.tensor(force) if isinstance(w, torch.Tensor) else force.astype(w.dtype))


def ours(step, start, options, dtype):
    weights = {name: value.astype(dtype) for name, value in start.items()}
    state: Any = None
    for i in range(STEPS):
        weights, state = step(weights, {n: gradient(n, w, i) for n, w in weights.items()}, state, **options)
    return weights


def theirs(make, start, options):
    leaves = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in start.items()}
    optimizer = make(leaves.values(), **{("lr" if k == "rate" else k): v for k, v in options.items()})
    for i in range(STEPS):
        for name, leaf in leaves.items():
            leaf.grad = gradient(name, leaf.detach(), i)
        optimizer.step()
    return {name: leaf.detach().numpy() for name, leaf in leaves.items()}


@pytest.mark.parametrize("rate", [0.003, 0.05])
@pytest.mark.parametrize(("step", "make", "options"), CASES)
def test_many_steps_are_torchs(step, make, options, rate):
    start = {"weight": beside.normal(4, 3), "bias": beside.normal(4, seed=1), "scale": np.array(0.5)}
    # Decay is given on both sides, since the default of AdamW would hide a difference.
    options = {"weight_decay": 0.0, **options, "rate": rate}
    expected = theirs(make, start, options)
    weights = ours(step, start, options, np.float64)
    for name in start:
        beside.near(weights[name], expected[name], beside.FLOAT64)
    # The valley pulls errors together again, so that 300 steps err no more than a few: 5e-6 at most was
    # measured.
    rounded = ours(step, start, options, np.float32)
    for name in start:
        beside.near(rounded[name], expected[name], beside.FLOAT32, dtype=np.float32)


def test_the_defaults_are_torchs():
    start = {"weight": beside.normal(3, 3)}
    for step, make in ((adam, torch.optim.Adam), (adamw, torch.optim.AdamW)):
        expected = theirs(make, start, {})
        beside.near(ours(partial(step), start, {}, np.float64)["weight"], expected["weight"], beside.FLOAT64)
