from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.core.errors import ShapeError, UserError
from convscope.data.preparing.preprocess import Preprocess
from convscope.data.pytorch.normalise import normalise

MEAN, STD = (0.49, 0.48, 0.44), (0.2, 0.21, 0.26)


def pictures(n: int, c: int, h: int, w: int) -> torch.Tensor:
    rng = np.random.default_rng(0)
    return torch.from_numpy(rng.integers(0, 256, (n, h, w, c), dtype=np.uint8)).permute(0, 3, 1, 2)


@given(
    n=st.integers(0, 3),
    c=st.sampled_from([1, 3]),
    h=st.integers(1, 9),
    w=st.integers(1, 9),
    last=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_equals_the_formula_in_double_precision(n, c, h, w, last):
    x = pictures(n, c, h, w)
    x = x if last else x.contiguous()
    mean, std = np.array(MEAN[:c]).reshape(1, c, 1, 1), np.array(STD[:c]).reshape(1, c, 1, 1)
    out = normalise(x, MEAN[:c], STD[:c])
    assert out.dtype == torch.float32
    assert out.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_allclose(out.numpy(), (x.numpy() / 255 - mean) / std, rtol=0, atol=1e-6)


def test_equals_the_preprocessing_that_evaluation_uses():
    x = pictures(3, 3, 9, 7)
    preprocess = Preprocess(3, 9, 7, mean=MEAN, std=STD)
    ours = normalise(x, MEAN, STD).numpy()
    np.testing.assert_allclose(ours, preprocess.normalise(x.permute(0, 2, 3, 1).numpy()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types_are_the_double_result_rounded_once(dtype):
    x = pictures(4, 3, 8, 8)
    out = normalise(x, MEAN, STD, dtype=dtype)
    assert out.dtype == dtype
    exact = normalise(x, MEAN, STD, dtype=torch.float64)
    step = torch.finfo(dtype).eps * exact.abs().clamp(min=2.0**-10)
    assert ((out.double() - exact).abs() <= step / 2 + 1e-6).all()


def test_the_input_stays_as_it_was():
    x = pictures(2, 3, 5, 5)
    before = x.clone()
    normalise(x, MEAN, STD)
    assert torch.equal(x, before)


@pytest.mark.parametrize(("mean", "std"), [((0.5,), (0.5,)), (MEAN, STD[:2]), ((), ())])
def test_statistics_of_another_number_of_channels_are_refused(mean, std):
    with pytest.raises(ShapeError, match="3 channels"):
        normalise(pictures(1, 3, 4, 4), mean, std)


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan")])
def test_a_standard_deviation_that_is_not_positive_is_refused(bad):
    with pytest.raises(UserError, match="above 0"):
        normalise(pictures(1, 1, 4, 4), (0.5,), (bad,))
