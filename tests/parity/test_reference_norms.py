"""The norms in NumPy beside PyTorch's and beside measured gradients, over shapes drawn at random."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import beside_torch as beside
from convscope.reference.normalisation.batch_norm import (
    batch_norm,
    batch_norm_backward,
    batch_norm_eval,
    batch_norm_eval_backward,
    running_statistics,
)
from convscope.reference.normalisation.layer_and_group_norm import (
    group_norm,
    group_norm_backward,
    instance_norm,
    instance_norm_backward,
    layer_norm,
    layer_norm_backward,
)
from convscope.reference.normalisation.standardise import (
    scale_and_shift,
    scale_and_shift_backward,
    standardise,
    standardise_backward,
)

SEEDS = st.integers(0, 1000)
EPS = st.sampled_from([1e-5, 1e-3, 0.1])
# Groups of 6 numbers or more: of two, all that is left of the gradient is a rounding error times ε.
MAPS = st.tuples(st.integers(2, 4), st.integers(1, 4), st.integers(2, 4), st.integers(3, 4))
ROWS = st.tuples(st.integers(6, 9), st.integers(1, 4))


def offset(*shape: int, seed: int) -> np.ndarray:
    """Numbers of mean 3 and deviation 2, so that taking off the mean is work."""
    return 3 + 2 * beside.normal(*shape, seed=seed)


@settings(max_examples=40)
@given(shape=st.one_of(MAPS, ROWS), eps=EPS, seed=SEEDS)
def test_batch_norm_in_training(shape, eps, seed):
    c = shape[1]
    beside.agree(
        partial(batch_norm, eps=eps),
        lambda dy, x, gamma, beta: batch_norm_backward(dy, x, gamma, eps=eps),
        lambda x, gamma, beta: F.batch_norm(x, None, None, gamma, beta, training=True, eps=eps),
        offset(*shape, seed=seed),
        beside.normal(c, seed=seed + 1),
        beside.normal(c, seed=seed + 2),
    )


@settings(max_examples=40)
@given(shape=st.one_of(MAPS, ROWS), eps=EPS, seed=SEEDS)
def test_batch_norm_in_evaluation(shape, eps, seed):
    c = shape[1]
    mean, var = beside.normal(c, seed=seed), np.random.default_rng(seed).uniform(0.5, 2, c).astype(np.float32)
    statistics = {"mean": mean.astype(np.float32), "var": var}
    beside.agree(
        partial(batch_norm_eval, **statistics, eps=eps),
        lambda dy, x, gamma, beta: batch_norm_eval_backward(dy, x, gamma, **statistics, eps=eps),
        lambda x, gamma, beta: F.batch_norm(
            x, *(torch.tensor(s, dtype=torch.float64) for s in statistics.values()), gamma, beta, eps=eps
        ),
        offset(*shape, seed=seed),
        beside.normal(c, seed=seed + 1),
        beside.normal(c, seed=seed + 2),
    )


@settings(max_examples=30)
@given(shape=st.one_of(MAPS, ROWS), momentum=st.floats(0, 1), steps=st.integers(1, 5), seed=SEEDS)
def test_running_statistics(shape, momentum, steps, seed):
    c = shape[1]
    mean, var = np.zeros(c), np.ones(c)
    expected_mean, expected_var = torch.zeros(c, dtype=torch.float64), torch.ones(c, dtype=torch.float64)
    for step in range(steps):
        x = offset(*shape, seed=seed + step)
        mean, var = running_statistics(x, mean, var, momentum=momentum)
        F.batch_norm(torch.tensor(x), expected_mean, expected_var, training=True, momentum=momentum)
    beside.near(mean, expected_mean.numpy(), beside.FLOAT64)
    beside.near(var, expected_var.numpy(), beside.FLOAT64)


@settings(max_examples=40)
@given(shape=MAPS, axes=st.integers(1, 3), eps=EPS, seed=SEEDS)
def test_layer_norm(shape, axes, eps, seed):
    shape = (*shape[:-1], 6)
    last = shape[-axes:]
    beside.agree(
        partial(layer_norm, eps=eps),
        lambda dy, x, gamma, beta: layer_norm_backward(dy, x, gamma, eps=eps),
        lambda x, gamma, beta: F.layer_norm(x, last, gamma, beta, eps),
        offset(*shape, seed=seed),
        beside.normal(*last, seed=seed + 1),
        beside.normal(*last, seed=seed + 2),
    )


@settings(max_examples=40)
@given(shape=MAPS, groups=st.integers(1, 3), eps=EPS, seed=SEEDS)
def test_group_norm(shape, groups, eps, seed):
    n, per_group, h, w = shape
    c = groups * per_group
    beside.agree(
        partial(group_norm, groups=groups, eps=eps),
        lambda dy, x, gamma, beta: group_norm_backward(dy, x, gamma, groups=groups, eps=eps),
        lambda x, gamma, beta: F.group_norm(x, groups, gamma, beta, eps),
        offset(n, c, h, w, seed=seed),
        beside.normal(c, seed=seed + 1),
        beside.normal(c, seed=seed + 2),
    )


@settings(max_examples=40)
@given(shape=MAPS, eps=EPS, seed=SEEDS)
def test_instance_norm(shape, eps, seed):
    c = shape[1]
    beside.agree(
        partial(instance_norm, eps=eps),
        lambda dy, x, gamma, beta: instance_norm_backward(dy, x, gamma, eps=eps),
        lambda x, gamma, beta: F.instance_norm(x, weight=gamma, bias=beta, eps=eps),
        offset(*shape, seed=seed),
        beside.normal(c, seed=seed + 1),
        beside.normal(c, seed=seed + 2),
    )


@settings(max_examples=30)
@given(shape=MAPS, axes=st.sets(st.integers(0, 3), min_size=1), seed=SEEDS)
def test_the_two_steps_of_all_norms(shape, axes, seed):
    over = tuple(sorted(axes))
    shape = tuple(6 if axis in over else length for axis, length in enumerate(shape))
    x = offset(*shape, seed=seed)
    beside.agree(
        partial(standardise, axes=over),
        partial(standardise_backward, axes=over),
        lambda t: (t - t.mean(over, keepdim=True)) / (t.var(over, correction=0, keepdim=True) + 1e-5).sqrt(),
        x,
    )
    lengths = tuple(shape[axis] for axis in over)
    broadcast = [length if axis in over else 1 for axis, length in enumerate(shape)]
    beside.agree(
        partial(scale_and_shift, axes=over),
        lambda dy, t, gamma, beta: scale_and_shift_backward(dy, t, gamma, axes=over),
        lambda t, gamma, beta: t * gamma.view(broadcast) + beta.view(broadcast),
        x,
        beside.normal(*lengths, seed=seed + 1),
        beside.normal(*lengths, seed=seed + 2),
    )
