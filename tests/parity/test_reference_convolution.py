"""Convolution in NumPy beside PyTorch's and beside measured gradients, over shapes and options drawn at
random.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import beside_torch as beside
from convscope.reference.convolution.conv2d import conv2d, conv2d_backward
from convscope.reference.convolution.depthwise import depthwise_conv2d, depthwise_conv2d_backward
from convscope.reference.convolution.transposed import conv_transpose2d, conv_transpose2d_backward

# float32, of the largest value: K·2⁻²⁴ for the longest sum here, that of dw over K = 2 images × 15×15
# positions. Roundings go both ways, so that some √K·2⁻²⁴ = 1.3e-6 is met; a bound for each number is tested
# below.
FLOAT32 = 450 * 2.0**-24

# torch warns that it pads a copy where "same" needs an odd number of pixels.
EVEN = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")


class Case(NamedTuple):
    x: np.ndarray
    w: np.ndarray
    b: np.ndarray
    options: dict[str, Any]


def three(backward: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """A backward of dy, x and w as one of dy, x, w and b: the bias does not enter its own gradient."""
    return lambda dy, x, w, b: backward(dy, x, w, **options)


def pairs(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def cases(draw: st.DrawFn, *, kernel: tuple[int, int] | None = None, depthwise: bool = False) -> Case:
    """Images, filters and options that fit; a given kernel has stride and dilation 1."""
    free = kernel is None
    kernel = draw(pairs(1, 4)) if kernel is None else kernel
    dilation = draw(pairs(1, 3)) if free else (1, 1)
    padding = draw(st.one_of(pairs(0, 3), st.sampled_from(["same", "valid"])))
    stride = draw(pairs(1, 3)) if free and padding != "same" else (1, 1)
    groups = draw(st.integers(1, 3))
    channels = groups * (1 if depthwise else draw(st.integers(1, 3)))
    filters = groups * draw(st.integers(1, 3))
    sides = (0, 0) if isinstance(padding, str) else padding
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, sides, strict=True)]
    size = [low + draw(st.integers(0, 5)) for low in least]
    seed = draw(st.integers(0, 1000))
    x = beside.normal(draw(st.integers(1, 2)), channels, *size, seed=seed)
    w, b = beside.normal(filters, channels // groups, *kernel, seed=seed), beside.normal(filters, seed=seed)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return Case(x, w, b, options)


@EVEN
@pytest.mark.parametrize("method", ["naive", "im2col", "fft"])
@settings(max_examples=60)
@given(case=cases())
def test_conv2d(method: str, case: Case) -> None:
    beside.agree(
        partial(conv2d, method=method, **case.options),
        three(conv2d_backward, **case.options),
        partial(F.conv2d, **case.options),
        *case[:3],
        gradients=False,
        float32=FLOAT32,
    )


@settings(max_examples=60)
@given(case=cases(kernel=(3, 3)))
def test_winograd(case: Case) -> None:
    beside.agree(
        partial(conv2d, method="winograd", **case.options),
        three(conv2d_backward, **case.options),
        partial(F.conv2d, **case.options),
        *case[:3],
        gradients=False,
        float32=FLOAT32,
    )


@EVEN
@settings(max_examples=60)
@given(case=cases(depthwise=True))
def test_depthwise(case: Case) -> None:
    options = {name: value for name, value in case.options.items() if name != "groups"}
    beside.agree(
        partial(depthwise_conv2d, **options),
        three(depthwise_conv2d_backward, **options),
        partial(F.conv2d, **case.options),
        *case[:3],
        gradients=False,
        float32=FLOAT32,
    )


@st.composite
def transposed_cases(draw: st.DrawFn) -> Case:
    """Images, filters and options of which something is left after the padding is cut off."""
    kernel, stride, dilation = draw(pairs(1, 4)), draw(pairs(1, 3)), draw(pairs(1, 3))
    more = tuple(draw(st.integers(0, s - 1)) for s in stride)
    groups, size = draw(st.integers(1, 3)), draw(pairs(1, 5))
    whole = [
        (h - 1) * s + d * (k - 1) + 1 + m
        for h, s, d, k, m in zip(size, stride, dilation, kernel, more, strict=True)
    ]
    padding = tuple(draw(st.integers(0, min(3, (pixels - 1) // 2))) for pixels in whole)
    seed, channels, maps = (
        draw(st.integers(0, 1000)),
        groups * draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
    )
    x = beside.normal(draw(st.integers(1, 2)), channels, *size, seed=seed)
    w, b = beside.normal(channels, maps, *kernel, seed=seed), beside.normal(maps * groups, seed=seed)
    options = {
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "output_padding": more,
    }
    return Case(x, w, b, options)


@settings(max_examples=100)
@given(case=transposed_cases())
def test_transposed(case: Case) -> None:
    backward = {name: value for name, value in case.options.items() if name != "output_padding"}
    beside.agree(
        partial(conv_transpose2d, **case.options),
        three(conv_transpose2d_backward, **backward),
        partial(F.conv_transpose2d, **case.options),
        *case[:3],
        gradients=False,
        float32=FLOAT32,
    )


SLOPES = [
    {},
    {"stride": 2, "padding": 1},
    {"stride": (1, 2), "padding": (2, 0), "dilation": (1, 2)},
    {"padding": "same", "dilation": (2, 1)},
]


@EVEN
@pytest.mark.parametrize("options", SLOPES, ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_conv2d_has_the_measured_gradients(options: dict[str, Any], groups: int) -> None:
    x, w, b = beside.normal(2, 4, 6, 7), beside.normal(4, 4 // groups, 3, 2, seed=1), beside.normal(4, seed=2)
    options = {**options, "groups": groups}
    beside.agree(
        partial(conv2d, **options), three(conv2d_backward, **options), partial(F.conv2d, **options), x, w, b
    )


@EVEN
@pytest.mark.parametrize("options", SLOPES, ids=str)
def test_depthwise_has_the_measured_gradients(options: dict[str, Any]) -> None:
    x, w, b = beside.normal(2, 2, 6, 7), beside.normal(4, 1, 3, 2, seed=1), beside.normal(4, seed=2)
    ours, backward = partial(depthwise_conv2d, **options), three(depthwise_conv2d_backward, **options)
    beside.agree(ours, backward, partial(F.conv2d, groups=2, **options), x, w, b)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("more", [0, 1])
def test_transposed_has_the_measured_gradients(groups: int, more: int) -> None:
    x, w, b = beside.normal(2, 4, 3, 4), beside.normal(4, 4 // groups, 3, 2, seed=1), beside.normal(4, seed=2)
    options = {"stride": 2, "padding": 1, "groups": groups}
    beside.agree(
        partial(conv_transpose2d, output_padding=more, **options),
        three(conv_transpose2d_backward, **options),
        partial(F.conv_transpose2d, output_padding=more, **options),
        x,
        w,
        b,
    )


@pytest.mark.parametrize("method", ["im2col", "fft", "winograd"])
def test_a_layer_of_usual_size(method: str) -> None:
    """Large enough for several blocks of columns; 576 products a sum."""
    x, w, b = (
        beside.normal(*shape, seed=seed)
        for seed, shape in enumerate([(3, 64, 31, 30), (32, 64, 3, 3), (32,)])
    )
    expected = F.conv2d(*(torch.tensor(array) for array in (x, w, b)), padding=1).numpy()
    beside.near(conv2d(x, w, b, padding=1, method=method), expected, beside.FLOAT64)


# How often numbers are rounded on their way into one result, times how much larger than Σ|product| they are
# on it: K sums for the loops and im2col (Higham 2002, section 3.1); for Winograd C sums of numbers that Bᵀ d
# B makes up to 4 times as large, G g Gᵀ 9/4, and of which Aᵀ m A adds nine.
@pytest.mark.parametrize(
    ("method", "roundings"), [("naive", 45 + 1), ("im2col", 45 + 1), ("winograd", (5 + 12) * 81)]
)
def test_each_float32_result_keeps_its_bound(method: str, roundings: int) -> None:
    x, w = beside.normal(2, 5, 9, 8).astype(np.float32), beside.normal(4, 5, 3, 3, seed=1).astype(np.float32)
    exact = conv2d(x.astype(np.float64), w.astype(np.float64))
    largest = np.abs(x).max() * np.abs(w).max() * np.ones_like(exact)
    products = conv2d(np.abs(x), np.abs(w)).astype(np.float64) if method != "winograd" else 5 * largest
    assert (np.abs(conv2d(x, w, method=method) - exact) <= roundings * 2.0**-24 * products).all()


def test_fft_in_float32_keeps_its_bound() -> None:
    # A transform of L points errs by some log₂L·2⁻²⁴ of the root of the sum of squares (Higham 2002, section
    # 24.1). There are three of them, with four roundings a butterfly, and the sum over channels.
    x, w = beside.normal(2, 5, 9, 8).astype(np.float32), beside.normal(4, 5, 3, 3, seed=1).astype(np.float32)
    exact = conv2d(x.astype(np.float64), w.astype(np.float64))
    length = np.sqrt((x**2).sum()) * np.sqrt((w**2).sum())
    bound = (3 * 4 * np.log2(9 * 8) + 5) * 2.0**-24 * length
    assert np.abs(conv2d(x, w, method="fft") - exact).max() <= bound


def test_the_gradients_of_a_layer_of_usual_size() -> None:
    x, w = beside.normal(3, 64, 31, 30), beside.normal(32, 64, 3, 3, seed=1)
    dy = beside.normal(3, 32, 31, 30, seed=2)
    leaves = [torch.tensor(array, requires_grad=True) for array in (x, w)]
    F.conv2d(*leaves, padding=1).backward(torch.tensor(dy))
    dx, dw, db = conv2d_backward(dy, x, w, padding=1)
    beside.near(dx, leaves[0].grad.numpy(), beside.FLOAT64)
    beside.near(dw, leaves[1].grad.numpy(), beside.FLOAT64)
    beside.near(db, dy.sum(axis=(0, 2, 3)), beside.FLOAT64)
