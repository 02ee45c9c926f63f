"""What every augmentation promises, checked over all operations and policies there are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convscope.data.pytorch.augmentation.policies import operations, policies, policy

EVERY = [*policies, *operations, "basic+rand_augment+cutout"]
NEVER_CHANGE_ANYTHING = {"none"}


def batch(n: int, c: int, h: int, w: int, seed: int = 0) -> torch.Tensor:
    """Noise without black or white, uint8 N×C×H×W, channels-last."""
    values = np.random.default_rng(seed).integers(1, 255, (n, h, w, c), dtype=np.uint8)
    return torch.from_numpy(values).permute(0, 3, 1, 2)


def run(name: str, x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return policy(name)(x, torch.Generator().manual_seed(seed))


@pytest.fixture(params=EVERY)
def name(request):
    return request.param


@given(
    n=st.integers(1, 5),
    c=st.sampled_from([1, 3]),
    h=st.integers(1, 40),
    w=st.integers(1, 40),
    seed=st.integers(0, 9),
)
@settings(max_examples=12, deadline=None)
@pytest.mark.parametrize("every", EVERY)
def test_any_size_gives_the_like(every, n, c, h, w, seed):
    x = batch(n, c, h, w)
    before = x.clone()
    out = run(every, x, seed)
    assert out.dtype == torch.uint8
    assert out.shape == x.shape
    assert out.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(x, before), "the input was changed"


@pytest.mark.parametrize("c", [1, 3])
def test_the_same_generator_state_gives_the_same_images(name, c):
    x = batch(16, c, 32, 32)
    assert torch.equal(run(name, x, 3), run(name, x, 3))


def test_another_state_gives_other_images(name):
    x = batch(32, 3, 32, 32)
    results = [run(name, x, seed) for seed in range(4)]
    assert name in NEVER_CHANGE_ANYTHING or any(not torch.equal(results[0], other) for other in results[1:])


def test_every_image_has_its_own_parameters(name):
    x = batch(1, 3, 32, 32).expand(64, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    kinds = len(torch.unique(run(name, x).flatten(1), dim=0))
    least = {"none": 1, "flip": 2, "vertical_flip": 2, "greyscale": 2}.get(name, 10)
    assert kinds >= least


def test_an_image_does_not_depend_on_its_neighbours(name):
    x = batch(32, 3, 24, 24)
    other = x.clone()
    other[1::2] = batch(16, 3, 24, 24, seed=1)
    assert torch.equal(run(name, x)[0::2], run(name, other)[0::2])


def test_the_layout_of_the_input_does_not_matter(name):
    x = batch(8, 3, 20, 28)
    assert torch.equal(run(name, x), run(name, x.contiguous()))
    doubled = torch.stack([x, x], dim=1).flatten(0, 1)[::2]
    assert torch.equal(run(name, x), run(name, doubled))


def test_a_flat_grey_image_keeps_within_its_range(name):
    x = torch.full((32, 1, 16, 16), 128, dtype=torch.uint8)
    out = run(name, x)
    assert 0 <= int(out.min()) <= int(out.max()) <= 255


def test_the_global_generator_is_left_alone(name):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run(name, batch(4, 3, 16, 16))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("c", [1, 3])
def test_a_cpu_generator_gives_nearly_the_same_on_a_gpu(name, c):
    x = batch(64, c, 32, 32)
    out = run(name, x.cuda())
    assert out.is_cuda
    # Products and sums round differently there, so a value may truncate to its neighbour and a tie go the
    # other way.
    apart = (out.cpu().int() - run(name, x).int()).abs()
    assert float((apart > 2).float().mean()) < 0.01
