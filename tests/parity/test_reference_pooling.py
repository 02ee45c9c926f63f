"""Pooling in NumPy beside PyTorch's and beside measured gradients, over windows drawn at random."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import beside_torch as beside
from convscope.reference.arrays import ShapeError
from convscope.reference.pooling.adaptive_pooling import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_backward,
    adaptive_max_pool2d,
    adaptive_max_pool2d_backward,
    global_avg_pool2d,
    global_avg_pool2d_backward,
    global_max_pool2d,
    global_max_pool2d_backward,
)
from convscope.reference.pooling.average_pooling import avg_pool2d, avg_pool2d_backward
from convscope.reference.pooling.max_pooling import max_pool2d, max_pool2d_backward

SEEDS = st.integers(0, 1000)
MAPS = st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 7), st.integers(1, 7))
PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))
SIZES = st.one_of(st.integers(1, 5), st.tuples(st.integers(1, 5), st.integers(1, 5)))
VALUES = pytest.mark.parametrize("values", [beside.apart, beside.ties], ids=["apart", "ties"])


@st.composite
def windows(draw: st.DrawFn, *, dilated: bool = False) -> dict[str, Any]:
    """Kernel, stride, ceil mode, padding up to half the kernel, and dilation where wanted."""
    kernel = draw(PAIRS)
    options = {
        "kernel": kernel,
        "stride": draw(st.one_of(st.none(), PAIRS)),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": draw(st.booleans()),
    }
    return {**options, "dilation": draw(PAIRS)} if dilated else options


def both_or_neither(ours, backward, theirs, x, *, options, gradients):
    """The two agree; or the window has no position in torch, or sees nothing (−∞), and we refuse it."""
    theirs_options = {**options, "kernel_size": options["kernel"]}
    del theirs_options["kernel"]
    try:
        blind = bool(theirs(torch.tensor(x), **theirs_options).isinf().any())
    except RuntimeError:
        blind = True
    if blind:
        with pytest.raises(ShapeError):
            ours(x, **options)
        return
    theirs = partial(theirs, **theirs_options)
    beside.agree(partial(ours, **options), partial(backward, **options), theirs, x, gradients=gradients)


@VALUES
@settings(max_examples=80)
@given(shape=MAPS, options=windows(dilated=True), seed=SEEDS)
def test_max_pooling(values, shape, options, seed):
    x, gradients = values(*shape, seed=seed), values is beside.apart
    both_or_neither(max_pool2d, max_pool2d_backward, F.max_pool2d, x, options=options, gradients=gradients)


@settings(max_examples=120)
@given(shape=MAPS, options=windows(), include=st.booleans(), seed=SEEDS)
def test_average_pooling(shape, options, include, seed):
    x, options = beside.normal(*shape, seed=seed), {**options, "count_include_pad": include}
    both_or_neither(avg_pool2d, avg_pool2d_backward, F.avg_pool2d, x, options=options, gradients=True)


@settings(max_examples=60)
@given(shape=MAPS, size=SIZES, seed=SEEDS)
def test_adaptive_average_pooling(shape, size, seed):
    beside.agree(
        partial(adaptive_avg_pool2d, size=size),
        partial(adaptive_avg_pool2d_backward, size=size),
        partial(F.adaptive_avg_pool2d, output_size=size),
        beside.normal(*shape, seed=seed),
    )


@VALUES
@settings(max_examples=60)
@given(shape=MAPS, size=SIZES, seed=SEEDS)
def test_adaptive_max_pooling(values, shape, size, seed):
    beside.agree(
        partial(adaptive_max_pool2d, size=size),
        partial(adaptive_max_pool2d_backward, size=size),
        partial(F.adaptive_max_pool2d, output_size=size),
        values(*shape, seed=seed),
        gradients=values is beside.apart,
    )


@settings(max_examples=20)
@given(shape=MAPS, seed=SEEDS)
def test_global_pooling(shape, seed):
    x = beside.apart(*shape, seed=seed)
    beside.agree(global_avg_pool2d, global_avg_pool2d_backward, lambda t: t.mean(dim=(2, 3)), x)
    beside.agree(global_max_pool2d, global_max_pool2d_backward, lambda t: t.amax(dim=(2, 3)), x)


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_the_last_window_of_ceil_mode_is_torchs(size, kernel):
    # Every stride and padding along one axis: where a window that hangs over is kept, and where it is
    # dropped.
    x = np.arange(size, dtype=np.float64).reshape(1, 1, 1, size)
    for stride in range(1, 7):
        for padding in range(kernel // 2 + 1):
            options = {
                "stride": (1, stride),
                "padding": (0, padding),
                "ceil_mode": True,
                "kernel": (1, kernel),
            }
            both_or_neither(
                max_pool2d, max_pool2d_backward, F.max_pool2d, x, options=options, gradients=False
            )
            both_or_neither(
                avg_pool2d, avg_pool2d_backward, F.avg_pool2d, x, options=options, gradients=False
            )
